/* GPUs by NVIDIA's management library, which is loaded when it is there; names as dcgm-exporter's.
 * What a device does not answer is left out. Source: NVML API reference. */
#include "exporter/container.h"
#include "exporter/gpu_profile.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"

#include <dlfcn.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RETRY_MS = 60000, NAME_BYTES = 96, GPUS_MAX = 64, MIG_MAX = 16 };

/* --- what we use of NVML's interface --- */

typedef struct nvml_device *nvml_device;
typedef struct nvml_events *nvml_events;

struct nvml_pci {
    char legacy[16];
    unsigned domain, bus, device, device_id, subsystem_id;
    char id[32];
};
struct nvml_memory {
    unsigned long long total, free, used;
};
struct nvml_memory2 {
    unsigned version;
    unsigned long long total, reserved, free, used;
};
struct nvml_utilization {
    unsigned gpu, memory;
};
struct nvml_violation {
    unsigned long long reference_ns, violation_ns;
};
struct nvml_field {
    unsigned id, scope;
    long long at_us, latency_us;
    int type; /* 0 double, 1 unsigned, 2 unsigned long, 3 unsigned long long, 4 signed long long */
    int rc;
    union {
        double d;
        unsigned u;
        unsigned long long ull;
        long long ll;
    } v;
};
struct nvml_event {
    nvml_device device;
    unsigned long long type, data;
    unsigned gpu_instance, compute_instance;
};

struct nvml {
    void *library;
    int64_t retry_at_ms; /* clock_mono_ms(); when there is no library */
    char driver[80];
    nvml_events events;
    struct gpu_profile *profile; /* NULL: this driver has none */
    unsigned long long last_xid[GPUS_MAX];
    nvml_device devices[GPUS_MAX];
    unsigned n;

    int (*init)(void);
    int (*shutdown)(void);
    int (*driver_version)(char *, unsigned);
    int (*count)(unsigned *);
    int (*by_index)(unsigned, nvml_device *);
    int (*name)(nvml_device, char *, unsigned);
    int (*uuid)(nvml_device, char *, unsigned);
    int (*minor)(nvml_device, unsigned *);
    int (*pci)(nvml_device, struct nvml_pci *);
    int (*clock)(nvml_device, unsigned, unsigned *);
    int (*temperature)(nvml_device, unsigned, unsigned *);
    int (*power)(nvml_device, unsigned *);
    int (*power_limit)(nvml_device, unsigned *);
    int (*energy)(nvml_device, unsigned long long *);
    int (*fan)(nvml_device, unsigned *);
    int (*replays)(nvml_device, unsigned *);
    int (*utilization)(nvml_device, struct nvml_utilization *);
    int (*encoder)(nvml_device, unsigned *, unsigned *);
    int (*decoder)(nvml_device, unsigned *, unsigned *);
    int (*memory)(nvml_device, struct nvml_memory *);
    int (*memory2)(nvml_device, struct nvml_memory2 *);
    int (*ecc)(nvml_device, int, int, unsigned long long *);
    int (*retired)(nvml_device, int, unsigned *, unsigned long long *);
    int (*retired_pending)(nvml_device, int *);
    int (*remapped)(nvml_device, unsigned *, unsigned *, unsigned *, unsigned *);
    int (*violation)(nvml_device, int, struct nvml_violation *);
    int (*fields)(nvml_device, int, struct nvml_field *);
    int (*mig_mode)(nvml_device, unsigned *, unsigned *);
    int (*mig_count)(nvml_device, unsigned *);
    int (*mig_by_index)(nvml_device, unsigned, nvml_device *);
    int (*mig_instance)(nvml_device, unsigned *);
    int (*events_new)(nvml_events *);
    int (*events_register)(nvml_device, unsigned long long, nvml_events);
    int (*events_wait)(nvml_events, struct nvml_event *, unsigned);
};

static const struct {
    const char *name;
    size_t at;
} symbols[] = {
    {"nvmlInit_v2", offsetof(struct nvml, init)},
    {"nvmlShutdown", offsetof(struct nvml, shutdown)},
    {"nvmlSystemGetDriverVersion", offsetof(struct nvml, driver_version)},
    {"nvmlDeviceGetCount_v2", offsetof(struct nvml, count)},
    {"nvmlDeviceGetHandleByIndex_v2", offsetof(struct nvml, by_index)},
    {"nvmlDeviceGetName", offsetof(struct nvml, name)},
    {"nvmlDeviceGetUUID", offsetof(struct nvml, uuid)},
    {"nvmlDeviceGetMinorNumber", offsetof(struct nvml, minor)},
    {"nvmlDeviceGetPciInfo_v3", offsetof(struct nvml, pci)},
    {"nvmlDeviceGetClockInfo", offsetof(struct nvml, clock)},
    {"nvmlDeviceGetTemperature", offsetof(struct nvml, temperature)},
    {"nvmlDeviceGetPowerUsage", offsetof(struct nvml, power)},
    {"nvmlDeviceGetPowerManagementLimit", offsetof(struct nvml, power_limit)},
    {"nvmlDeviceGetTotalEnergyConsumption", offsetof(struct nvml, energy)},
    {"nvmlDeviceGetFanSpeed", offsetof(struct nvml, fan)},
    {"nvmlDeviceGetPcieReplayCounter", offsetof(struct nvml, replays)},
    {"nvmlDeviceGetUtilizationRates", offsetof(struct nvml, utilization)},
    {"nvmlDeviceGetEncoderUtilization", offsetof(struct nvml, encoder)},
    {"nvmlDeviceGetDecoderUtilization", offsetof(struct nvml, decoder)},
    {"nvmlDeviceGetMemoryInfo", offsetof(struct nvml, memory)},
    {"nvmlDeviceGetMemoryInfo_v2", offsetof(struct nvml, memory2)},
    {"nvmlDeviceGetTotalEccErrors", offsetof(struct nvml, ecc)},
    {"nvmlDeviceGetRetiredPages", offsetof(struct nvml, retired)},
    {"nvmlDeviceGetRetiredPagesPendingStatus", offsetof(struct nvml, retired_pending)},
    {"nvmlDeviceGetRemappedRows", offsetof(struct nvml, remapped)},
    {"nvmlDeviceGetViolationStatus", offsetof(struct nvml, violation)},
    {"nvmlDeviceGetFieldValues", offsetof(struct nvml, fields)},
    {"nvmlDeviceGetMigMode", offsetof(struct nvml, mig_mode)},
    {"nvmlDeviceGetMaxMigDeviceCount", offsetof(struct nvml, mig_count)},
    {"nvmlDeviceGetMigDeviceHandleByIndex", offsetof(struct nvml, mig_by_index)},
    {"nvmlDeviceGetGpuInstanceId", offsetof(struct nvml, mig_instance)},
    {"nvmlEventSetCreate", offsetof(struct nvml, events_new)},
    {"nvmlDeviceRegisterEvents", offsetof(struct nvml, events_register)},
    {"nvmlEventSetWait_v2", offsetof(struct nvml, events_wait)},
};

/* --- the figures: a column each, NAN where a device does not have it --- */

static const struct column columns[] = {
#define GAUGE(name, help)                                                                          \
    {                                                                                              \
        "DCGM_FI_DEV_" name, PAGE_GAUGE, help, 0                                                   \
    }
#define COUNTER(name, help)                                                                        \
    {                                                                                              \
        "DCGM_FI_DEV_" name, PAGE_COUNTER, help, 0                                                 \
    }
    GAUGE("SM_CLOCK", "SM clock frequency (in MHz)."),
    GAUGE("MEM_CLOCK", "Memory clock frequency (in MHz)."),
    GAUGE("MEMORY_TEMP", "Memory temperature (in C)."),
    GAUGE("GPU_TEMP", "GPU temperature (in C)."),
    GAUGE("POWER_USAGE", "Power draw (in W)."),
    GAUGE("POWER_MGMT_LIMIT", "Power limit (in W)."),
    GAUGE("FAN_SPEED", "Fan speed (in %)."),
    COUNTER("TOTAL_ENERGY_CONSUMPTION", "Total energy consumption since boot (in mJ)."),
    COUNTER("PCIE_TX_THROUGHPUT",
            "Total number of bytes transmitted through PCIe TX (in KB) via NVML."),
    COUNTER("PCIE_RX_THROUGHPUT",
            "Total number of bytes received through PCIe RX (in KB) via NVML."),
    COUNTER("PCIE_REPLAY_COUNTER", "Total number of PCIe retries."),
    GAUGE("GPU_UTIL", "GPU utilization (in %)."),
    GAUGE("MEM_COPY_UTIL", "Memory utilization (in %)."),
    GAUGE("ENC_UTIL", "Encoder utilization (in %)."),
    GAUGE("DEC_UTIL", "Decoder utilization (in %)."),
    GAUGE("XID_ERRORS", "Value of the last XID error encountered."),
    COUNTER("POWER_VIOLATION", "Throttling duration due to power constraints (in us)."),
    COUNTER("THERMAL_VIOLATION", "Throttling duration due to thermal constraints (in us)."),
    COUNTER("SYNC_BOOST_VIOLATION", "Throttling duration due to sync-boost constraints (in us)."),
    COUNTER("BOARD_LIMIT_VIOLATION", "Throttling duration due to board limit constraints (in us)."),
    COUNTER("LOW_UTIL_VIOLATION", "Throttling duration due to low utilization (in us)."),
    COUNTER("RELIABILITY_VIOLATION", "Throttling duration due to reliability constraints (in us)."),
    GAUGE("FB_FREE", "Framebuffer memory free (in MiB)."),
    GAUGE("FB_USED", "Framebuffer memory used (in MiB)."),
    GAUGE("FB_RESERVED", "Framebuffer memory reserved (in MiB)."),
    COUNTER("ECC_SBE_VOL_TOTAL", "Total number of single-bit volatile ECC errors."),
    COUNTER("ECC_DBE_VOL_TOTAL", "Total number of double-bit volatile ECC errors."),
    COUNTER("ECC_SBE_AGG_TOTAL", "Total number of single-bit persistent ECC errors."),
    COUNTER("ECC_DBE_AGG_TOTAL", "Total number of double-bit persistent ECC errors."),
    COUNTER("RETIRED_SBE", "Total number of retired pages due to single-bit errors."),
    COUNTER("RETIRED_DBE", "Total number of retired pages due to double-bit errors."),
    COUNTER("RETIRED_PENDING", "Total number of pages pending retirement."),
    COUNTER("NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", "Total number of NVLink flow-control CRC errors."),
    COUNTER("NVLINK_CRC_DATA_ERROR_COUNT_TOTAL", "Total number of NVLink data CRC errors."),
    COUNTER("NVLINK_REPLAY_ERROR_COUNT_TOTAL", "Total number of NVLink retries."),
    COUNTER("NVLINK_RECOVERY_ERROR_COUNT_TOTAL", "Total number of NVLink recovery errors."),
    COUNTER("NVLINK_BANDWIDTH_TOTAL", "Total number of NVLink bandwidth counters for all lanes"),
    COUNTER("UNCORRECTABLE_REMAPPED_ROWS", "Number of remapped rows for uncorrectable errors"),
    COUNTER("CORRECTABLE_REMAPPED_ROWS", "Number of remapped rows for correctable errors"),
    GAUGE("ROW_REMAP_FAILURE", "Whether remapping of rows has failed"),
};
enum {
    G_SM_CLOCK,
    G_MEM_CLOCK,
    G_MEMORY_TEMP,
    G_GPU_TEMP,
    G_POWER,
    G_POWER_LIMIT,
    G_FAN,
    G_ENERGY,
    G_PCIE_TX,
    G_PCIE_RX,
    G_REPLAYS,
    G_UTIL,
    G_MEM_UTIL,
    G_ENC,
    G_DEC,
    G_XID,
    G_VIOLATIONS, /* six */
    G_FB_FREE = G_VIOLATIONS + 6,
    G_FB_USED,
    G_FB_RESERVED,
    G_ECC, /* four */
    G_RETIRED_SBE = G_ECC + 4,
    G_RETIRED_DBE,
    G_RETIRED_PENDING,
    G_NVLINK_FLIT,
    G_NVLINK_DATA,
    G_NVLINK_REPLAY,
    G_NVLINK_RECOVERY,
    G_NVLINK_BANDWIDTH,
    G_REMAPPED_UNCORRECTABLE,
    G_REMAPPED_CORRECTABLE,
    G_REMAP_FAILURE,
    COLUMNS
};
_Static_assert(ARRAY_LEN(columns) == COLUMNS, "a column each");

/* --- the library --- */

void nvml_free(struct nvml *l)
{
    if (!l) {
        return;
    }
    gpu_profile_free(l->profile);
    if (l->library) {
        if (l->shutdown) {
            (void)l->shutdown();
        }
        (void)dlclose(l->library);
    }
    free(l);
}

static int load(struct nvml *l, const char *path, struct err *e)
{
    l->library = dlopen(path ? path : "libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!l->library) {
        return err_set(e, ERR_NOT_FOUND, "NVML is not there: %s", dlerror());
    }
    for (size_t i = 0; i < ARRAY_LEN(symbols); i++) {
        void *f = dlsym(l->library, symbols[i].name);

        memcpy((char *)l + symbols[i].at, &f, sizeof(f)); /* a driver's age decides what it has */
    }
    if (!l->init || !l->count || !l->by_index || l->init() != 0) {
        (void)dlclose(l->library);
        l->library = NULL;
        return err_set(e, ERR_UNAVAILABLE,
                       "NVML does not start: is the NVIDIA driver loaded (nvidia-smi)?");
    }
    if (!l->driver_version || l->driver_version(l->driver, sizeof(l->driver)) != 0) {
        l->driver[0] = '\0';
    }
    return 0;
}

static void find_devices(struct nvml *l)
{
    enum { XID_CRITICAL = 8 };
    unsigned n = 0;

    l->n = 0;
    (void)l->count(&n);
    if (l->events_new && l->events_new(&l->events) != 0) {
        l->events = NULL;
    }
    for (unsigned i = 0; i < n && l->n < GPUS_MAX; i++) {
        if (l->by_index(i, &l->devices[l->n]) != 0) {
            continue; /* fallen off the bus */
        }
        if (l->events && l->events_register) {
            (void)l->events_register(l->devices[l->n], XID_CRITICAL, l->events);
        }
        l->n++;
    }
}

static struct nvml *library(struct node *n, struct err *e)
{
    struct nvml *l = n->nvml;

    if (!l) {
        l = n->nvml = xnew(struct nvml);
    }
    if (l->library) {
        return l;
    }
    if (clock_mono_ms() < l->retry_at_ms) {
        (void)err_set(e, ERR_NOT_FOUND, "NVML is not there");
        return NULL;
    }
    l->retry_at_ms = clock_mono_ms() + RETRY_MS;
    if (load(l, n->o->nvml, e) < 0) {
        return NULL;
    }
    find_devices(l);
    l->profile = gpu_profile_new(l->library);
    return l;
}

/* The last XID of each device: errors that the driver reports once. */
static void take_events(struct nvml *l)
{
    struct nvml_event ev;

    for (int i = 0; l->events && l->events_wait && i < 1000; i++) {
        if (l->events_wait(l->events, &ev, 0) != 0) {
            return;
        }
        for (unsigned k = 0; k < l->n; k++) {
            if (l->devices[k] == ev.device) {
                l->last_xid[k] = ev.data;
            }
        }
    }
}

/* --- one device --- */

#define ASK(l, f, ...) ((l)->f && (l)->f(__VA_ARGS__) == 0)

/* NVML_VALUE_NOT_AVAILABLE is -1 of whatever type. */
static double number(unsigned long long v)
{
    return v == UINT_MAX || v == ULLONG_MAX ? NAN : (double)v;
}

static double field_value(const struct nvml_field *f)
{
    if (f->rc != 0) {
        return NAN;
    }
    switch (f->type) {
    case 0:
        return f->v.d;
    case 1:
        return number(f->v.u);
    case 4:
        return number((unsigned long long)f->v.ll);
    default:
        return number(f->v.ull);
    }
}

/* NVML_FI_DEV_...: figures that have no function of their own. */
static void read_fields(const struct nvml *l, nvml_device d, double *v)
{
    static const struct {
        unsigned id;
        int column;
        double scale;
        bool all_links;
    } ids[] = {
        {82, G_MEMORY_TEMP, 1, false},       {197, G_PCIE_TX, 1.0 / 1024, false},
        {198, G_PCIE_RX, 1.0 / 1024, false}, {38, G_NVLINK_FLIT, 1, false},
        {45, G_NVLINK_DATA, 1, false},       {52, G_NVLINK_REPLAY, 1, false},
        {59, G_NVLINK_RECOVERY, 1, false},   {138, G_NVLINK_BANDWIDTH, 1, true},
        {139, G_NVLINK_BANDWIDTH, 1, true},
    };
    struct nvml_field fields[ARRAY_LEN(ids)] = {{0}};

    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        fields[i].id = ids[i].id;
        fields[i].scope = ids[i].all_links ? ~0U : 0;
        fields[i].rc = 1;
    }
    if (!ASK(l, fields, d, (int)ARRAY_LEN(ids), fields)) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        double one = field_value(&fields[i]) * ids[i].scale;
        double *to = &v[ids[i].column];

        if (!isnan(one)) {
            *to = isnan(*to) ? one : *to + one;
        }
    }
}

static void read_memory(const struct nvml *l, nvml_device d, double *v)
{
    /* NVML_STRUCT_VERSION: its size and the number of the version */
    struct nvml_memory2 m2 = {.version = (unsigned)sizeof(struct nvml_memory2) | 2U << 24};
    struct nvml_memory m;
    const double mib = 1024 * 1024;

    if (ASK(l, memory2, d, &m2)) {
        v[G_FB_FREE] = floor((double)m2.free / mib);
        v[G_FB_USED] = floor((double)m2.used / mib);
        v[G_FB_RESERVED] = floor((double)m2.reserved / mib);
    } else if (ASK(l, memory, d, &m)) {
        v[G_FB_FREE] = floor((double)m.free / mib);
        v[G_FB_USED] = floor((double)m.used / mib);
    }
}

static void read_errors(const struct nvml *l, nvml_device d, double *v)
{
    unsigned corrected, uncorrected, pending, failed, n;
    int waits;

    for (int i = 0; i < 4; i++) { /* volatile SBE, DBE, aggregate SBE, DBE */
        unsigned long long errors;

        if (ASK(l, ecc, d, i % 2, i / 2, &errors)) {
            v[G_ECC + i] = number(errors);
        }
    }
    for (int cause = 0; cause < 2; cause++) {
        n = 0;
        /* "too small" with the number is what is asked for */
        if (l->retired && (l->retired(d, cause, &n, NULL) == 7 || n > 0)) {
            v[G_RETIRED_SBE + cause] = n;
        } else if (l->retired && l->retired(d, cause, &n, NULL) == 0) {
            v[G_RETIRED_SBE + cause] = 0;
        }
    }
    if (ASK(l, retired_pending, d, &waits)) {
        v[G_RETIRED_PENDING] = waits;
    }
    if (ASK(l, remapped, d, &corrected, &uncorrected, &pending, &failed)) {
        v[G_REMAPPED_CORRECTABLE] = corrected;
        v[G_REMAPPED_UNCORRECTABLE] = uncorrected;
        v[G_REMAP_FAILURE] = failed;
    }
    for (int i = 0; i < 6; i++) {
        struct nvml_violation violation;

        if (ASK(l, violation, d, i, &violation)) {
            v[G_VIOLATIONS + i] = (double)violation.violation_ns / 1000;
        }
    }
}

static void read_device(const struct nvml *l, unsigned i, double *v)
{
    nvml_device d = l->devices[i];
    struct nvml_utilization u;
    unsigned long long energy;
    unsigned x, period;

    if (ASK(l, clock, d, 1, &x)) {
        v[G_SM_CLOCK] = number(x);
    }
    if (ASK(l, clock, d, 2, &x)) {
        v[G_MEM_CLOCK] = number(x);
    }
    if (ASK(l, temperature, d, 0, &x)) {
        v[G_GPU_TEMP] = number(x);
    }
    if (ASK(l, power, d, &x)) {
        v[G_POWER] = number(x) / 1000;
    }
    if (ASK(l, power_limit, d, &x)) {
        v[G_POWER_LIMIT] = number(x) / 1000;
    }
    if (ASK(l, fan, d, &x)) {
        v[G_FAN] = number(x);
    }
    if (ASK(l, energy, d, &energy)) {
        v[G_ENERGY] = number(energy);
    }
    if (ASK(l, replays, d, &x)) {
        v[G_REPLAYS] = number(x);
    }
    if (ASK(l, utilization, d, &u)) {
        v[G_UTIL] = number(u.gpu);
        v[G_MEM_UTIL] = number(u.memory);
    }
    if (ASK(l, encoder, d, &x, &period)) {
        v[G_ENC] = number(x);
    }
    if (ASK(l, decoder, d, &x, &period)) {
        v[G_DEC] = number(x);
    }
    v[G_XID] = (double)l->last_xid[i];
    read_memory(l, d, v);
    read_errors(l, d, v);
    read_fields(l, d, v);
}

/* --- labels --- */

static const struct container_names *job_of(const struct container_list *jobs, const struct nvml *l,
                                            nvml_device d)
{
    unsigned minor;

    if (!ASK(l, minor, d, &minor) || minor >= 64) {
        return NULL;
    }
    for (size_t i = 0; i < jobs->len; i++) {
        if (jobs->p[i].gpus & (1ULL << minor)) {
            return &jobs->p[i];
        }
    }
    return NULL;
}

static void device_labels(const struct nvml *l, unsigned i, const struct container_names *job,
                          const char *profile, const char *instance, struct buf *b)
{
    char text[NAME_BYTES], host[NAME_BYTES] = "";
    nvml_device d = l->devices[i];
    struct nvml_pci pci;
    unsigned minor;

    (void)snprintf(text, sizeof(text), "%u", i);
    page_label(b, "gpu", str_of(text));
    page_label(b, "UUID", str_of(ASK(l, uuid, d, text, sizeof(text)) ? text : ""));
    page_label(b, "pci_bus_id", str_of(ASK(l, pci, d, &pci) ? pci.id : ""));
    (void)snprintf(text, sizeof(text), "nvidia%u", ASK(l, minor, d, &minor) ? minor : i);
    page_label(b, "device", str_of(text));
    page_label(b, "modelName", str_of(ASK(l, name, d, text, sizeof(text)) ? text : ""));
    if (profile) {
        page_label(b, "GPU_I_PROFILE", str_of(profile));
        page_label(b, "GPU_I_ID", str_of(instance));
    }
    (void)gethostname(host, sizeof(host) - 1);
    page_label(b, "Hostname", str_of(host));
    page_label(b, "DCGM_FI_DRIVER_VERSION", str_of(l->driver));
    if (job) {
        page_label(b, "project", str_of(job->project));
        page_label(b, "job", str_of(job->job));
        page_label(b, "user", str_of(job->user));
    }
}

static double *no_values(struct node *n)
{
    double *v = arena_new_array(&n->arena, double, COLUMNS);

    for (size_t i = 0; i < COLUMNS; i++) {
        v[i] = NAN;
    }
    return v;
}

static const double *profile_of(struct node *n, const struct nvml *l, unsigned i, int instance)
{
    double *v = arena_new_array(&n->arena, double, GPU_PROFILE_COLUMNS);

    gpu_profile_read(l->profile, i, l->devices[i], instance, v);
    return v;
}

/* A part of a GPU counts its own memory and work only; the name ends in its profile, "MIG 1g.5gb".
 */
static size_t read_mig(struct node *n, const struct nvml *l, unsigned i,
                       const struct container_names *job, struct row *rows, struct row *profiles)
{
    unsigned now, later, parts, instance;
    size_t len = 0;

    if (!ASK(l, mig_mode, l->devices[i], &now, &later) || now != 1 ||
        !ASK(l, mig_count, l->devices[i], &parts)) {
        return 0;
    }
    for (unsigned k = 0; k < parts && len < MIG_MAX; k++) {
        SCOPED(buf_done) struct buf labels = BUF_MAX(LIMIT_NODE_FILE_BYTES);
        char name[NAME_BYTES], id[16] = "";
        const char *profile;
        nvml_device mig;
        double *v;
        int which = INT_MAX;

        if (!ASK(l, mig_by_index, l->devices[i], k, &mig)) {
            continue;
        }
        profile = ASK(l, name, mig, name, sizeof(name)) ? strstr(name, "MIG ") : NULL;
        if (ASK(l, mig_instance, mig, &instance)) {
            (void)snprintf(id, sizeof(id), "%u", instance);
            which = (int)(instance & INT_MAX);
        }
        device_labels(l, i, job, profile ? profile + 4 : "", id, &labels);
        v = no_values(n);
        read_memory(l, mig, v);
        rows[len] = (struct row){arena_str(&n->arena, buf_str(&labels)), v};
        profiles[len] = (struct row){rows[len].labels, profile_of(n, l, i, which)};
        len++;
    }
    return len;
}

int collect_gpu(struct node *n, struct page *p, struct err *e)
{
    struct nvml *l = library(n, e);
    struct container_list jobs;
    struct row *rows, *profiles;
    size_t len = 0;

    if (!l) {
        return -1;
    }
    containers_of_strata(n, &jobs);
    take_events(l);
    rows = arena_new_array(&n->arena, struct row, (size_t)l->n * (1 + MIG_MAX));
    profiles = arena_new_array(&n->arena, struct row, (size_t)l->n * (1 + MIG_MAX));
    for (unsigned i = 0; i < l->n; i++) {
        SCOPED(buf_done) struct buf labels = BUF_MAX(LIMIT_NODE_FILE_BYTES);
        const struct container_names *job = job_of(&jobs, l, l->devices[i]);
        double *v = no_values(n);

        device_labels(l, i, job, NULL, NULL, &labels);
        read_device(l, i, v);
        rows[len] = (struct row){arena_str(&n->arena, buf_str(&labels)), v};
        profiles[len] = (struct row){rows[len].labels, profile_of(n, l, i, GPU_WHOLE)};
        len++;
        len += read_mig(n, l, i, job, rows + len, profiles + len);
    }
    collect_columns(p, columns, COLUMNS, rows, len);
    collect_columns(p, gpu_profile_columns, GPU_PROFILE_COLUMNS, profiles, len);
    for (size_t i = 0; i < jobs.len; i++) {
        container_names_done(&jobs.p[i]);
    }
    free(jobs.p);
    return 0;
}
