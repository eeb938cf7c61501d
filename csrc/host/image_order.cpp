#include "host/image_order.h"

#include <algorithm>

namespace lenetshift {

void sort_keys(std::uint64_t* keys, int n) { std::sort(keys, keys + n); }

}  // namespace lenetshift
