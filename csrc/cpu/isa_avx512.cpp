#include "isa.h"
