// predict_shifts for the pooled MLP. A moved image's pooled pixel (i, j) is the sum of the 4 x 4
// window of the unmoved image, blank outside its frame, at row 4 i - dy, column 4 j - dx: the
// windows cover the frame without overlap, so no window contains what a shift pushes out of it.
//
// The algorithm, for one image and shift:
//   for hidden unit h
//     hidden[h] = act(bias[h] + sum over (i, j) of window (i, j) * weight[i, j][h])
//   logits = output bias + output weights * hidden;  answer = argmax
// Every window's sum is computed once for all shifts, exactly: it is a whole number. Windows that
// are blank in all images of a group are left out.
//
// The schedule:
//   pack the weights                              pack_strips
//   for each chunk of groups of 32 images         whose windows fit in 256 MiB of workspace
//     if there are enough shifts, the images in the order of the boxes of their ink, so that those
//       of a group have about the same blank windows                       image_order.h
//     the windows of each group, and which are blank in it                 sum_windows
//     for each four items, an item being a group under a shift: a block    answers_of_items
//       the item's windows to shared memory, those that are not blank
//       for each strip of 128 hidden units
//         its weights to shared memory
//         two warps for each item, each with 64 units:
//           for each window         a thread keeps 8 images x 8 units in registers
//           activation; the units' share of the logits, in registers, summed over eight lanes
//       the two warps' logits added; answers
//
// Warps wait for each other only where weights are replaced. csrc/cuda/README.md counts what bounds
// it.
#include "cuda/cuda_kernels.h"
#include "cuda/perceptron/image_order.h"

namespace lenetshift {
namespace cuda {
namespace {

constexpr int kTerms = kPooled * kPooled, kMostTerms = round_up(kTerms, 2);  // of an item
constexpr int kItemImages = kStagedImages, kBlockItems = kWarps / 2;

// Windows that see any pixel begin at rows and columns -3 ... 27.
constexpr int kFirstWindow = 1 - kPool, kWindows = kImageSize - kFirstWindow;
constexpr int kAllWindows = kWindows * kWindows;

// The rows of a strip's weights: each pooled pixel's, zeros, the bias, and each class's.
constexpr int kItemUnits = 128, kWarpUnits = kItemUnits / 2;
constexpr int kZerosRow = kTerms, kBiasRow = kZerosRow + 1, kOutputRow = kBiasRow + 1;
constexpr int kStripRows = kOutputRow + kClasses, kStripSize = kStripRows * kItemUnits;
constexpr int kRowBytes = kItemUnits * static_cast<int>(sizeof(float));

// Sorting compares each image of a chunk with each; this many groups take 2 % of the evaluation of
// 55 shifts. It saves what it takes at about 15 shifts (csrc/cuda/README.md).
constexpr int kMostSortedGroups = 320, kShiftsWorthSorting = 16;
constexpr int kMostItems = 1 << 30;  // of a chunk, so that they are numbered by int

// The values of a chunk, and the weights.
struct WindowMemory {
  static constexpr const char* op = "predict_shifts_pooled_mlp";

  bool sorted;
  std::int64_t groups;  // of a chunk
  ImageOrder order;     // of its images
  float* sums;          // [groups][windows][32]
  std::uint8_t* inked;  // [groups][windows]: whether any image has ink there
  float* weights;       // [strips][kStripRows][128]

  WindowMemory(Workspace& workspace, const Mlp& mlp, const ShiftedImages& job)
      : sorted(job.n_images > kItemImages && n_shifts(job) >= kShiftsWorthSorting),
        groups(smaller(divide_up(job.n_images, kItemImages), most_groups(job))),
        order(workspace, groups * kItemImages, sorted),
        sums(workspace.take<float>(groups * kAllWindows * kItemImages)),
        inked(workspace.take<std::uint8_t>(groups * kAllWindows)),
        weights(workspace.take<float>(n_strips(mlp) * kStripSize)) {}

  static int n_shifts(const ShiftedImages& job) { return job.grid.n_dx * job.grid.n_dy; }
  static std::int64_t n_strips(const Mlp& mlp) {
    return divide_up(mlp.parameters.n_hidden, kItemUnits);
  }

 private:
  std::int64_t most_groups(const ShiftedImages& job) const {
    constexpr std::int64_t bytes = kAllWindows * kItemImages * sizeof(float);
    static_assert(kMostSortedGroups * bytes <= kChunkBytes);
    const int numbered = larger(kMostItems / larger(n_shifts(job), 1), 1);
    return smaller(sorted ? kMostSortedGroups : kChunkBytes / bytes, numbered);
  }
};

// Block (x, y): rows 2 y and 2 y + 1 of strip x.
__global__ void __launch_bounds__(kThreads) pack_strips(float* weights, MlpParameters parameters) {
  static_assert(kThreads == 2 * kItemUnits);
  const int t = static_cast<int>(threadIdx.x), lane = t % kItemUnits;
  const int row = static_cast<int>(blockIdx.y) * 2 + t / kItemUnits;
  if (row >= kStripRows) return;
  const int unit = static_cast<int>(blockIdx.x) * kItemUnits + lane;
  float value = 0;
  if (unit < parameters.n_hidden && row != kZerosRow) {
    if (row < kTerms)  // the mean of 16 pixels of 0 ... 255
      value = parameters.hidden.weight[std::int64_t{unit} * kTerms + row] *
              (1.0f / (255 * kPool * kPool));
    else if (row == kBiasRow)
      value = parameters.hidden.bias[unit];
    else
      value = parameters.output.weight[std::int64_t{row - kOutputRow} * parameters.n_hidden + unit];
  }
  weights[(std::int64_t{blockIdx.x} * kStripRows + row) * kItemUnits + lane] = value;
}

// Block x: the windows of group x. Each lane takes an image, each warp a column of windows at a
// time.
__global__ void __launch_bounds__(kThreads)
    sum_windows(WindowMemory memory, const std::uint8_t* images, int n_images) {
  std::uint8_t* const staged = dynamic_shared<std::uint8_t>();
  const std::int64_t group = blockIdx.x;
  stage_images(images, group * kItemImages, n_images, staged, memory.order.image);
  const int lane = threadIdx.x % kWarp;
  const std::uint8_t* const image = staged + lane * kStagedPitch;
  float* const target = memory.sums + group * kAllWindows * kItemImages + lane;
  std::uint8_t* const inked = memory.inked + group * kAllWindows;
  for (int column = threadIdx.x / kWarp; column < kWindows; column += kWarps) {
    const int x0 = column + kFirstWindow;
    int rows[kPool] = {};                 // sums of the last rows
    for (int y = 0; y < kWindows; ++y) {  // the window that ends with row y
#pragma unroll
      for (int i = 0; i + 1 < kPool; ++i) rows[i] = rows[i + 1];
      rows[kPool - 1] = 0;
      if (y < kImageSize)
#pragma unroll
        for (int i = 0; i < kPool; ++i)
          if (x0 + i >= 0 && x0 + i < kImageSize) rows[kPool - 1] += image[y * kImageSize + x0 + i];
      const int sum = rows[0] + rows[1] + rows[2] + rows[3], window = y * kWindows + column;
      target[window * kItemImages] = static_cast<float>(sum);
      const unsigned images_with_ink = __ballot_sync(kAllLanes, sum);
      if (lane == 0) inked[window] = images_with_ink != 0;
    }
  }
}

// A group under a shift: the numbers and the sums of its windows that are not blank, and the bytes
// before their weights in a strip. Windows are multiplied two at a time, at least once: beside an
// odd one, or none, are windows that meet zeros.
struct Item {
  float sums[kMostTerms * kItemImages];  // [terms][32]
  int weights[kMostTerms], windows[kMostTerms];
  int n_terms;  // 0 if there is no item
  int group, row, column;
};
static_assert(sizeof(Item) % 16 == 0);

// A warp makes an item.
__device__ inline void make_item(const WindowMemory& memory, const ShiftGrid& grid, int number,
                                 int n_items, Item& item) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  if (number >= n_items) {
    if (lane == 0) item.n_terms = 0;
    return;
  }
  const int n_shifts = grid.n_dx * grid.n_dy, group = number / n_shifts;
  const int row = number % n_shifts / grid.n_dx, column = number % n_shifts % grid.n_dx;
  const std::uint8_t* const inked = memory.inked + std::int64_t{group} * kAllWindows;
  int n = 0;
  for (int k = lane; k < round_up(kTerms, kWarp); k += kWarp) {
    const int y = k / kPooled * kPool - (grid.dy_first + row) - kFirstWindow;
    const int x = k % kPooled * kPool - (grid.dx_first + column) - kFirstWindow;
    const bool seen = k < kTerms && y >= 0 && y < kWindows && x >= 0 && x < kWindows;
    const bool has_ink = seen && inked[y * kWindows + x] != 0;
    const unsigned ballot = __ballot_sync(kAllLanes, has_ink);
    if (has_ink) {
      const int place = n + __popc(ballot & ((1u << lane) - 1));
      item.weights[place] = k * kRowBytes;
      item.windows[place] = y * kWindows + x;
    }
    n += __popc(ballot);
  }
  if (lane != 0) return;
  item.n_terms = larger(round_up(n, 2), 2);
  for (; n < item.n_terms; ++n) {
    item.weights[n] = kZerosRow * kRowBytes;
    item.windows[n] = 0;  // any one serves: it meets zeros
  }
  item.group = group, item.row = row, item.column = column;
}

// A thread has 8 images and 8 units, in two runs of four each. Its lane says which: eight lanes
// have the same images. Four of those take the runs in the other order, so that each can give away
// the sums of its second run.
struct OwnPlaces {
  int images, other_images, units;  // other_units: units + kWarpUnits / 2

  __device__ OwnPlaces() {
    const int lane = static_cast<int>(threadIdx.x % kWarp);
    images = lane / 8 * 4 + lane / 4 % 2 * (kItemImages / 2);
    other_images = images ^ (kItemImages / 2);
    units = lane % 8 * 4;
  }
  // That whose logits the thread has in the end.
  __device__ int image() const { return images + static_cast<int>(threadIdx.x % 4); }
};

// sum[images][units] += the products of an item's terms and a warp's weights in a strip.
__device__ inline void add_terms(const Item& item, const float* weights, OwnPlaces own,
                                 float (&sum)[8][8]) {
  const char* const own_weights = reinterpret_cast<const char*>(weights + own.units);
  const float *images = item.sums + own.images, *other_images = item.sums + own.other_images;
  const int *row = item.weights, *const end = row + item.n_terms;
#pragma unroll 1
  do {
    const int2 rows = *reinterpret_cast<const int2*>(row);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float* const units =
          reinterpret_cast<const float*>(own_weights + (i == 0 ? rows.x : rows.y));
      float a[8], b[8];
      load4_to(images + i * kItemImages, a);
      load4_to(other_images + i * kItemImages, a + 4);
      load4_to(units, b);
      load4_to(units + kWarpUnits / 2, b + 4);
#pragma unroll
      for (int m = 0; m < 8; ++m)
#pragma unroll
        for (int u = 0; u < 8; ++u) sum[m][u] = fmaf(a[m], b[u], sum[m][u]);
    }
    images += 2 * kItemImages, other_images += 2 * kItemImages;
  } while ((row += 2) != end);
}

// logit[class] of the thread's image += what a warp's 64 hidden units contribute.
__device__ inline void add_logits(const float (&hidden)[8][8], const float* weights, OwnPlaces own,
                                  float (&logit)[kClasses]) {
#pragma unroll
  for (int o = 0; o < kClasses; ++o) {
    float w[8], share[8], kept[4];
    load4_to(weights + o * kItemUnits + own.units, w);
    load4_to(weights + o * kItemUnits + own.units + kWarpUnits / 2, w + 4);
#pragma unroll
    for (int m = 0; m < 8; ++m) {
      share[m] = hidden[m][0] * w[0];
#pragma unroll
      for (int u = 1; u < 8; ++u) share[m] = fmaf(hidden[m][u], w[u], share[m]);
    }
#pragma unroll
    for (int m = 0; m < 4; ++m) kept[m] = share[m] + __shfl_xor_sync(kAllLanes, share[m + 4], 4);
    logit[o] += warp_sums<4>(kept);
  }
}

// Shared memory: a strip's weights, the items.
constexpr std::size_t kItemsShared = kStripSize * sizeof(float) + kBlockItems * sizeof(Item);

// Block x: items 4 x ... 4 x + 3 of a chunk, which has n_images and begins with image `first`.
__global__ void __launch_bounds__(kThreads, 2)
    answers_of_items(WindowMemory memory, Act act, const float* output_bias, int n_hidden,
                     ShiftedImages job, std::int64_t first, int n_images, int n_items) {
  float* const weights = dynamic_shared<float>();
  Item* const items = reinterpret_cast<Item*>(weights + kStripSize);
  const int t = static_cast<int>(threadIdx.x), lane = static_cast<int>(threadIdx.x % kWarp);
  const int half = static_cast<int>(threadIdx.x / kWarp % 2);
  Item& item = items[threadIdx.x / (2 * kWarp)];
  if (half == 0)
    make_item(memory, job.grid, static_cast<int>(blockIdx.x) * kBlockItems + t / (2 * kWarp),
              n_items, item);
  __syncthreads();
  for (int k = t % (2 * kWarp) / 8; k < item.n_terms; k += 2 * kWarp / 8) {
    const std::int64_t window = std::int64_t{item.group} * kAllWindows + item.windows[k];
    store4(item.sums + k * kItemImages + lane % 8 * 4,
           load4(memory.sums + window * kItemImages + lane % 8 * 4));
  }

  const OwnPlaces own;
  float logit[kClasses] = {};
  for (int strip = 0; strip < divide_up(n_hidden, kItemUnits); ++strip) {
    __syncthreads();  // the weights of the strip before
    const float* const from = memory.weights + std::int64_t{strip} * kStripSize;
#pragma unroll
    for (int i = 0; i < kStripSize; i += kThreads * 4)
      if (i + t * 4 < kStripSize) store4(weights + i + t * 4, load4(from + i + t * 4));
    __syncthreads();
    if (item.n_terms == 0 || strip * kItemUnits + half * kWarpUnits >= n_hidden) continue;
    const float* const own_weights = weights + half * kWarpUnits;
    float bias[8], sum[8][8];
    load4_to(own_weights + kBiasRow * kItemUnits + own.units, bias);
    load4_to(own_weights + kBiasRow * kItemUnits + own.units + kWarpUnits / 2, bias + 4);
#pragma unroll
    for (int i = 0; i < 64; ++i) sum[i / 8][i % 8] = bias[i % 8];
    add_terms(item, own_weights, own, sum);
    act.apply(sum);
    add_logits(sum, own_weights + kOutputRow * kItemUnits, own, logit);
  }

  __syncthreads();  // the windows, in whose place one warp's logits go to the other one
  if (half == 1)
#pragma unroll
    for (int o = 0; o < kClasses; ++o) item.sums[o * kItemImages + lane] = logit[o];
  __syncthreads();
  const std::int64_t place = std::int64_t{item.group} * kItemImages + own.image();
  if (half == 1 || item.n_terms == 0 || place >= n_images) return;
#pragma unroll
  for (int o = 0; o < kClasses; ++o) logit[o] += item.sums[o * kItemImages + lane] + output_bias[o];
  const std::int64_t number = first + memory.order.at(place);
  const std::int64_t answer = (number * job.grid.n_dy + item.row) * job.grid.n_dx + item.column;
  job.predictions[answer] = static_cast<std::uint8_t>(argmax(logit, 1));
  if (job.logits == nullptr) return;
#pragma unroll
  for (int o = 0; o < kClasses; ++o) job.logits[answer * kClasses + o] = logit[o];
}

void predict_pooled_mlp(const Mlp& mlp, const ShiftedImages& job, const WindowMemory& memory,
                        cudaStream_t stream) {
  if (job.n_images == 0) return;
  const MlpParameters& parameters = mlp.parameters;
  launch(WindowMemory::op, pack_strips,
         dim3(static_cast<unsigned>(WindowMemory::n_strips(mlp)), divide_up(kStripRows, 2)), 0,
         stream, memory.weights, parameters);
  const std::int64_t chunk = memory.groups * kItemImages;
  for (std::int64_t first = 0; first < job.n_images; first += chunk) {
    const int n_images = static_cast<int>(smaller(job.n_images - first, chunk));
    const std::uint8_t* const images = job.images + first * kPixels;
    const int n_groups = divide_up(n_images, kItemImages);
    const int n_items = n_groups * WindowMemory::n_shifts(job);
    if (memory.sorted) order_images(WindowMemory::op, memory.order, images, n_images, 1, stream);
    launch(WindowMemory::op, sum_windows, static_cast<unsigned>(n_groups),
           kStagedImages * kStagedPitch, stream, memory, images, n_images);
    launch(WindowMemory::op, answers_of_items, blocks_for(n_items, kBlockItems), kItemsShared,
           stream, memory, Act{mlp.activation}, parameters.output.bias, parameters.n_hidden, job,
           first, n_images, n_items);
  }
}

}  // namespace

const FusedKernel<Mlp, ShiftedImages> predict_shifts_pooled_mlp = fused_kernel<predict_pooled_mlp>;

}  // namespace cuda
}  // namespace lenetshift
