/* Source: NVML API reference, "GPM": two samples are taken, and the driver says what lies between.
 */
#include "exporter/gpu_profile.h"

#include "base/clock.h"
#include "base/mem.h"

#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Below BETWEEN_MS the driver's figures are noise: two scrapers at once get the same. */
enum { GPUS_MAX = 64, PARTS_MAX = 16, METRICS_MAX = 333, VERSION = 1, BETWEEN_MS = 100 };

typedef struct gpm_sample *gpm_sample;

struct gpm_support {
    unsigned version, supported;
};
struct gpm_metric {
    unsigned id;
    int rc;
    double value;
    char *names[3];
};
struct gpm_question {
    unsigned version, n;
    gpm_sample from, to;
    struct gpm_metric metrics[METRICS_MAX]; /* a driver may think that all of them are there */
};

/* The whole GPU, or a part of it. */
struct unit {
    gpm_sample from, to; /* NULL: none taken yet */
    int64_t at_ms;       /* clock_mono_ms() of the last */
    bool lacking;        /* it cannot */
    bool told;           /* `v` is filled */
    double v[GPU_PROFILE_COLUMNS];
};

struct gpu_profile {
    int (*support)(struct nvml_device *, struct gpm_support *);
    int (*alloc)(gpm_sample *);
    int (*release)(gpm_sample);
    int (*sample)(struct nvml_device *, gpm_sample);
    int (*sample_part)(struct nvml_device *, unsigned, gpm_sample);
    int (*between)(struct gpm_question *);
    struct unit units[GPUS_MAX][1 + PARTS_MAX];
    struct gpm_question question;
};

const struct column gpu_profile_columns[] = {
#define RATIO(name, help)                                                                          \
    {                                                                                              \
        "DCGM_FI_PROF_" name, PAGE_GAUGE, help, 0                                                  \
    }
    RATIO("GR_ENGINE_ACTIVE", "Ratio of time the graphics engine is active."),
    RATIO("SM_ACTIVE", "The ratio of cycles an SM has at least 1 warp assigned."),
    RATIO("SM_OCCUPANCY", "The ratio of number of warps resident on an SM."),
    RATIO("PIPE_TENSOR_ACTIVE", "Ratio of cycles the tensor (HMMA) pipe is active."),
    RATIO("DRAM_ACTIVE",
          "Ratio of cycles the device memory interface is active sending or receiving data."),
    RATIO("PIPE_FP64_ACTIVE", "Ratio of cycles the fp64 pipes are active."),
    RATIO("PIPE_FP32_ACTIVE", "Ratio of cycles the fp32 pipes are active."),
    RATIO("PIPE_FP16_ACTIVE", "Ratio of cycles the fp16 pipes are active."),
    RATIO("PCIE_TX_BYTES", "The rate of data transmitted over the PCIe bus in bytes per second."),
    RATIO("PCIE_RX_BYTES", "The rate of data received over the PCIe bus in bytes per second."),
    RATIO("NVLINK_TX_BYTES", "The rate of data transmitted over NVLink in bytes per second."),
    RATIO("NVLINK_RX_BYTES", "The rate of data received over NVLink in bytes per second."),
};
_Static_assert(ARRAY_LEN(gpu_profile_columns) == GPU_PROFILE_COLUMNS, "a column each");

/* NVML_GPM_METRIC_..., in the order of the columns: per cent, and MiB per second. */
static const struct {
    unsigned id;
    double scale;
} metrics[GPU_PROFILE_COLUMNS] = {
    {1, 0.01},  {2, 0.01},  {3, 0.01},     {5, 0.01},     {10, 0.01},    {11, 0.01},
    {12, 0.01}, {13, 0.01}, {20, 1048576}, {21, 1048576}, {61, 1048576}, {60, 1048576},
};

struct gpu_profile *gpu_profile_new(void *library)
{
    static const struct {
        const char *name;
        size_t at;
    } symbols[] = {
        {"nvmlGpmQueryDeviceSupport", offsetof(struct gpu_profile, support)},
        {"nvmlGpmSampleAlloc", offsetof(struct gpu_profile, alloc)},
        {"nvmlGpmSampleFree", offsetof(struct gpu_profile, release)},
        {"nvmlGpmSampleGet", offsetof(struct gpu_profile, sample)},
        {"nvmlGpmMigSampleGet", offsetof(struct gpu_profile, sample_part)},
        {"nvmlGpmMetricsGet", offsetof(struct gpu_profile, between)},
    };
    struct gpu_profile *g = xnew(struct gpu_profile);

    for (size_t i = 0; i < ARRAY_LEN(symbols); i++) {
        void *f = dlsym(library, symbols[i].name);

        if (!f) {
            free(g);
            return NULL;
        }
        memcpy((char *)g + symbols[i].at, &f, sizeof(f));
    }
    return g;
}

static void release(struct gpu_profile *g, gpm_sample *s)
{
    if (*s) {
        (void)g->release(*s);
    }
    *s = NULL;
}

void gpu_profile_free(struct gpu_profile *g)
{
    if (!g) {
        return;
    }
    for (size_t i = 0; i < GPUS_MAX; i++) {
        for (size_t k = 0; k <= PARTS_MAX; k++) {
            release(g, &g->units[i][k].from);
            release(g, &g->units[i][k].to);
        }
    }
    free(g);
}

/* The last sample becomes the first, and a new one is taken. False: there is none. */
static bool take(struct gpu_profile *g, struct unit *u, struct nvml_device *device, int instance)
{
    struct gpm_support support = {.version = VERSION};
    gpm_sample oldest = u->from;
    int rc;

    if (!u->to && (g->support(device, &support) != 0 || !support.supported)) {
        u->lacking = true;
        return false;
    }
    if (!oldest && g->alloc(&oldest) != 0) {
        return false;
    }
    rc = instance == GPU_WHOLE ? g->sample(device, oldest)
                               : g->sample_part(device, (unsigned)instance, oldest);
    if (rc != 0) {
        release(g, &oldest);
        u->from = NULL;
        return false;
    }
    u->from = u->to;
    u->to = oldest;
    u->at_ms = clock_mono_ms();
    return u->from != NULL;
}

static void ask(struct gpu_profile *g, struct unit *u)
{
    struct gpm_question *q = &g->question;

    *q = (struct gpm_question){
        .version = VERSION, .n = GPU_PROFILE_COLUMNS, .from = u->from, .to = u->to};
    for (size_t i = 0; i < GPU_PROFILE_COLUMNS; i++) {
        q->metrics[i].id = metrics[i].id;
        q->metrics[i].rc = -1;
    }
    u->told = g->between(q) == 0;
    for (size_t i = 0; i < GPU_PROFILE_COLUMNS; i++) {
        u->v[i] = q->metrics[i].rc == 0 && isfinite(q->metrics[i].value)
                      ? q->metrics[i].value * metrics[i].scale
                      : NAN;
    }
}

void gpu_profile_read(struct gpu_profile *g, unsigned i, struct nvml_device *device, int instance,
                      double v[GPU_PROFILE_COLUMNS])
{
    struct unit *u;

    for (size_t k = 0; k < GPU_PROFILE_COLUMNS; k++) {
        v[k] = NAN;
    }
    if (!g || i >= GPUS_MAX || instance < GPU_WHOLE || instance >= PARTS_MAX) {
        return;
    }
    u = &g->units[i][1 + instance];
    if (u->lacking) {
        return;
    }
    if (!u->to || clock_mono_ms() >= u->at_ms + BETWEEN_MS) {
        u->told = false;
        if (take(g, u, device, instance)) {
            ask(g, u);
        }
    }
    if (u->told) {
        memcpy(v, u->v, sizeof(u->v));
    }
}
