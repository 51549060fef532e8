/* A library with the interface of NVIDIA's NVML and two GPUs behind it, for a machine without one:
 * the first is divided (MIG) and counts what its units do (GPM), the second answers less. While the
 * file that FAKE_NVML_HANGS names is there, asking for power does not come back. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, TIMEOUT = 10 };
enum { GPUS = 2, PARTS = 2 };

struct gpu {
    int index, part; /* part: 0 is the whole */
};

static struct gpu gpus[GPUS] = {{0, 0}, {1, 0}};
static struct gpu parts[PARTS] = {{0, 1}, {0, 2}};
static int events_left = 1;

struct pci {
    char legacy[16];
    unsigned domain, bus, device, id, subsystem;
    char bus_id[32];
};
struct memory {
    unsigned long long total, free, used;
};
struct memory2 {
    unsigned version;
    unsigned long long total, reserved, free, used;
};
struct field {
    unsigned id, scope;
    long long at, latency;
    unsigned type, rc;
    union {
        double d;
        unsigned u;
        unsigned long long ull;
    } v;
};
struct event {
    struct gpu *gpu;
    unsigned long long type, data;
    unsigned gpu_instance, compute_instance;
};

struct support {
    unsigned version, supported;
};
struct sample {
    unsigned turn, instance; /* instance 0: of the whole */
};
struct question {
    unsigned version, n;
    struct sample *from, *to;
    struct {
        unsigned id;
        int rc;
        double value;
        char *names[3];
    } metrics[333];
};

int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlSystemGetDriverVersion(char *out, unsigned len);
int nvmlDeviceGetCount_v2(unsigned *out);
int nvmlDeviceGetHandleByIndex_v2(unsigned i, struct gpu **out);
int nvmlDeviceGetName(struct gpu *g, char *out, unsigned len);
int nvmlDeviceGetUUID(struct gpu *g, char *out, unsigned len);
int nvmlDeviceGetMinorNumber(struct gpu *g, unsigned *out);
int nvmlDeviceGetPciInfo_v3(struct gpu *g, struct pci *out);
int nvmlDeviceGetClockInfo(struct gpu *g, int which, unsigned *out);
int nvmlDeviceGetTemperature(struct gpu *g, int which, unsigned *out);
int nvmlDeviceGetPowerUsage(struct gpu *g, unsigned *out);
int nvmlDeviceGetPowerManagementLimit(struct gpu *g, unsigned *out);
int nvmlDeviceGetTotalEnergyConsumption(struct gpu *g, unsigned long long *out);
int nvmlDeviceGetFanSpeed(struct gpu *g, unsigned *out);
int nvmlDeviceGetPcieReplayCounter(struct gpu *g, unsigned *out);
int nvmlDeviceGetUtilizationRates(struct gpu *g, unsigned out[2]);
int nvmlDeviceGetEncoderUtilization(struct gpu *g, unsigned *out, unsigned *period);
int nvmlDeviceGetMemoryInfo(struct gpu *g, struct memory *out);
int nvmlDeviceGetMemoryInfo_v2(struct gpu *g, struct memory2 *out);
int nvmlDeviceGetTotalEccErrors(struct gpu *g, int uncorrected, int aggregate,
                                unsigned long long *out);
int nvmlDeviceGetRetiredPages(struct gpu *g, int cause, unsigned *n, unsigned long long *out);
int nvmlDeviceGetRemappedRows(struct gpu *g, unsigned *c, unsigned *u, unsigned *pending,
                              unsigned *failed);
int nvmlDeviceGetViolationStatus(struct gpu *g, int policy, unsigned long long out[2]);
int nvmlDeviceGetFieldValues(struct gpu *g, int n, struct field *f);
int nvmlDeviceGetMigMode(struct gpu *g, unsigned *now, unsigned *later);
int nvmlDeviceGetMaxMigDeviceCount(struct gpu *g, unsigned *out);
int nvmlDeviceGetMigDeviceHandleByIndex(struct gpu *g, unsigned i, struct gpu **out);
int nvmlDeviceGetGpuInstanceId(struct gpu *g, unsigned *out);
int nvmlEventSetCreate(void **out);
int nvmlDeviceRegisterEvents(struct gpu *g, unsigned long long types, void *set);
int nvmlEventSetWait_v2(void *set, struct event *out, unsigned timeout_ms);
int nvmlGpmQueryDeviceSupport(struct gpu *g, struct support *out);
int nvmlGpmSampleAlloc(struct sample **out);
int nvmlGpmSampleFree(struct sample *s);
int nvmlGpmSampleGet(struct gpu *g, struct sample *s);
int nvmlGpmMigSampleGet(struct gpu *g, unsigned instance, struct sample *s);
int nvmlGpmMetricsGet(struct question *q);

int nvmlInit_v2(void)
{
    return OK;
}

int nvmlShutdown(void)
{
    return OK;
}

int nvmlSystemGetDriverVersion(char *out, unsigned len)
{
    (void)snprintf(out, len, "535.161.08");
    return OK;
}

int nvmlDeviceGetCount_v2(unsigned *out)
{
    *out = GPUS;
    return OK;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned i, struct gpu **out)
{
    *out = &gpus[i];
    return i < GPUS ? OK : INVALID;
}

int nvmlDeviceGetName(struct gpu *g, char *out, unsigned len)
{
    (void)snprintf(out, len,
                   g->part ? "NVIDIA A100-SXM4-40GB MIG 1g.5gb" : "NVIDIA A100-SXM4-40GB");
    return OK;
}

int nvmlDeviceGetUUID(struct gpu *g, char *out, unsigned len)
{
    (void)snprintf(out, len, "GPU-0000000%d", g->index);
    return OK;
}

int nvmlDeviceGetMinorNumber(struct gpu *g, unsigned *out)
{
    *out = (unsigned)g->index;
    return OK;
}

int nvmlDeviceGetPciInfo_v3(struct gpu *g, struct pci *out)
{
    memset(out, 0, sizeof(*out));
    (void)snprintf(out->bus_id, sizeof(out->bus_id), "00000000:%02X:00.0", 7 + g->index);
    return OK;
}

int nvmlDeviceGetClockInfo(struct gpu *g, int which, unsigned *out)
{
    *out = (unsigned)(which == 1 ? 1410 : 1215) + (unsigned)g->index;
    return which == 1 || which == 2 ? OK : INVALID;
}

int nvmlDeviceGetTemperature(struct gpu *g, int which, unsigned *out)
{
    *out = 41 + (unsigned)g->index;
    return which == 0 ? OK : INVALID;
}

int nvmlDeviceGetPowerUsage(struct gpu *g, unsigned *out)
{
    const char *hangs = getenv("FAKE_NVML_HANGS");

    while (hangs && access(hangs, F_OK) == 0) {
        (void)poll(NULL, 0, 50);
    }
    *out = 61250 + (unsigned)g->index;
    return OK;
}

int nvmlDeviceGetPowerManagementLimit(struct gpu *g, unsigned *out)
{
    *out = ~0U; /* NVML_VALUE_NOT_AVAILABLE */
    return g->index == 0 ? OK : NOT_SUPPORTED;
}

int nvmlDeviceGetTotalEnergyConsumption(struct gpu *g, unsigned long long *out)
{
    *out = 123456789ULL + (unsigned)g->index;
    return OK;
}

int nvmlDeviceGetFanSpeed(struct gpu *g, unsigned *out)
{
    *out = 30;
    return g->index == 0 ? OK : NOT_SUPPORTED;
}

int nvmlDeviceGetPcieReplayCounter(struct gpu *g, unsigned *out)
{
    *out = 3;
    return g->index == 0 ? OK : NOT_SUPPORTED;
}

int nvmlDeviceGetUtilizationRates(struct gpu *g, unsigned out[2])
{
    out[0] = 97;
    out[1] = 42;
    return g->index == 1 ? OK : NOT_SUPPORTED; /* a divided GPU does not know it */
}

int nvmlDeviceGetEncoderUtilization(struct gpu *g, unsigned *out, unsigned *period)
{
    *out = 5;
    *period = 100;
    return g->index == 1 ? OK : NOT_SUPPORTED;
}

int nvmlDeviceGetMemoryInfo(struct gpu *g, struct memory *out)
{
    *out = (struct memory){40ULL << 30, 30ULL << 30, 10ULL << 30};
    return g->part ? NOT_SUPPORTED : OK;
}

int nvmlDeviceGetMemoryInfo_v2(struct gpu *g, struct memory2 *out)
{
    if (g->index == 1 || out->version != (sizeof(*out) | 2U << 24)) {
        return NOT_SUPPORTED;
    }
    out->total = 5ULL << 30;
    out->reserved = 600ULL << 20;
    out->free = (unsigned long long)(4000 + g->part) << 20;
    out->used = 520ULL << 20;
    return OK;
}

int nvmlDeviceGetTotalEccErrors(struct gpu *g, int uncorrected, int aggregate,
                                unsigned long long *out)
{
    *out = (unsigned long long)(1 + uncorrected + 2 * aggregate);
    return g->index == 0 ? OK : NOT_SUPPORTED;
}

int nvmlDeviceGetRetiredPages(struct gpu *g, int cause, unsigned *n, unsigned long long *out)
{
    (void)out;
    if (g->index == 1) {
        return NOT_SUPPORTED;
    }
    *n = cause == 0 ? 4 : 0;
    return cause == 0 ? TOO_SMALL : OK;
}

int nvmlDeviceGetRemappedRows(struct gpu *g, unsigned *c, unsigned *u, unsigned *pending,
                              unsigned *failed)
{
    *c = 1;
    *u = 2;
    *pending = 0;
    *failed = 0;
    return g->index == 0 ? OK : NOT_SUPPORTED;
}

int nvmlDeviceGetViolationStatus(struct gpu *g, int policy, unsigned long long out[2])
{
    out[0] = 1;
    out[1] = (unsigned long long)(policy + 1) * 1000000;
    return g->index == 0 && policy < 6 ? OK : NOT_SUPPORTED;
}

int nvmlDeviceGetFieldValues(struct gpu *g, int n, struct field *f)
{
    for (int i = 0; i < n; i++) {
        f[i].rc = OK;
        f[i].type = 3;
        switch (f[i].id) {
        case 82: /* memory temperature */
            f[i].type = 1;
            f[i].v.u = 77;
            f[i].rc = g->index == 0 ? OK : NOT_SUPPORTED;
            break;
        case 138: /* NVLink data sent, received, of all links */
        case 139:
            f[i].v.ull = f[i].id;
            f[i].rc = f[i].scope == ~0U ? OK : INVALID;
            break;
        case 197: /* PCIe bytes sent */
            f[i].v.ull = 10240;
            break;
        default:
            f[i].rc = NOT_SUPPORTED;
        }
    }
    return OK;
}

int nvmlDeviceGetMigMode(struct gpu *g, unsigned *now, unsigned *later)
{
    *now = *later = g->index == 0;
    return OK;
}

int nvmlDeviceGetMaxMigDeviceCount(struct gpu *g, unsigned *out)
{
    (void)g;
    *out = 7;
    return OK;
}

int nvmlDeviceGetMigDeviceHandleByIndex(struct gpu *g, unsigned i, struct gpu **out)
{
    (void)g;
    if (i != 0 && i != 2) {
        return NOT_FOUND;
    }
    *out = &parts[i / 2];
    return OK;
}

int nvmlDeviceGetGpuInstanceId(struct gpu *g, unsigned *out)
{
    *out = (unsigned)g->part + 6;
    return OK;
}

int nvmlEventSetCreate(void **out)
{
    *out = &events_left;
    return OK;
}

int nvmlDeviceRegisterEvents(struct gpu *g, unsigned long long types, void *set)
{
    (void)g;
    return types == 8 && set == &events_left ? OK : INVALID;
}

int nvmlEventSetWait_v2(void *set, struct event *out, unsigned timeout_ms)
{
    (void)timeout_ms;
    if (set != &events_left || events_left == 0) {
        return TIMEOUT;
    }
    events_left--;
    *out = (struct event){&gpus[1], 8, 79, ~0U, ~0U};
    return OK;
}

int nvmlGpmQueryDeviceSupport(struct gpu *g, struct support *out)
{
    out->supported = g->index == 0;
    return out->version == 1 ? OK : INVALID;
}

int nvmlGpmSampleAlloc(struct sample **out)
{
    *out = calloc(1, sizeof(**out));
    return *out ? OK : INVALID;
}

int nvmlGpmSampleFree(struct sample *s)
{
    free(s);
    return OK;
}

int nvmlGpmSampleGet(struct gpu *g, struct sample *s)
{
    static unsigned turn;

    *s = (struct sample){++turn, 0};
    return g->index == 0 && !g->part ? OK : NOT_SUPPORTED;
}

int nvmlGpmMigSampleGet(struct gpu *g, unsigned instance, struct sample *s)
{
    int rc = nvmlGpmSampleGet(g, s);

    s->instance = instance;
    return rc;
}

/* Of metric 13 it says 13 %, of the part with instance 7 20 %. NVLink: not here. */
int nvmlGpmMetricsGet(struct question *q)
{
    if (q->version != 1 || q->from->turn >= q->to->turn || q->from->instance != q->to->instance) {
        return INVALID;
    }
    for (unsigned i = 0; i < q->n; i++) {
        q->metrics[i].rc = q->metrics[i].id < 60 ? OK : NOT_SUPPORTED;
        q->metrics[i].value = q->metrics[i].id + q->to->instance;
    }
    return OK;
}
