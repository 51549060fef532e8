/* gpu_profile - what the units of a GPU did between two pages: DCGM_FI_PROF_*, from NVML's GPM.
 * Hopper and later have it. One thread, that of the collector. */
#pragma once
#include "exporter/collect.h"

struct nvml_device;
struct gpu_profile;

extern const struct column gpu_profile_columns[];
enum { GPU_PROFILE_COLUMNS = 12, GPU_WHOLE = -1 };

/* From the library that is loaded; NULL: it is too old. */
struct gpu_profile *gpu_profile_new(void *library);
void gpu_profile_free(struct gpu_profile *g);

/* Takes a sample of GPU number `i`, or of the part with this instance id, and fills the columns
 * with what happened since the one before: NAN at first, and where the device has none of it. */
void gpu_profile_read(struct gpu_profile *g, unsigned i, struct nvml_device *device, int instance,
                      double v[GPU_PROFILE_COLUMNS]);
