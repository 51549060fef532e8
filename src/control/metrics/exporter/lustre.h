/* lustre - what is gathered of Lustre before it is shown: a family stands together on a page. */
#pragma once
#include "exporter/collect.h"

#include "base/vec.h"

#define FAMILIES(X)                                                                                \
    X(VERSION, "lustre_version_info", GAUGE, "The Lustre version string, as a label.")             \
    X(HEALTHY, "lustre_health_healthy", GAUGE,                                                     \
      "Indicates whether the Lustre target is healthy or not. 1 is healthy, 0 is unhealthy.")      \
    X(MEM_USED, "lustre_mem_used", GAUGE, "Gives information about Lustre memory usage.")          \
    X(MEM_USED_MAX, "lustre_mem_used_max", GAUGE,                                                  \
      "Gives information about Lustre maximum memory usage.")                                      \
    X(LNET_MEM, "lustre_lnet_mem_used", GAUGE,                                                     \
      "Gives information about Lustre LNet memory usage.")                                         \
    X(SEND_COUNT, "lustre_send_count_total", COUNTER,                                              \
      "Total number of messages that have been sent")                                              \
    X(RECEIVE_COUNT, "lustre_receive_count_total", COUNTER,                                        \
      "Total number of messages that have been received")                                          \
    X(DROP_COUNT, "lustre_drop_count_total", COUNTER,                                              \
      "Total number of messages that have been dropped")                                           \
    X(SEND_BYTES, "lustre_send_bytes_total", COUNTER, "Total number of bytes that have been sent") \
    X(RECEIVE_BYTES, "lustre_receive_bytes_total", COUNTER,                                        \
      "Total number of bytes that have been received")                                             \
    X(DROP_BYTES, "lustre_drop_bytes_total", COUNTER,                                              \
      "Total number of bytes that have been dropped")                                              \
    X(CLIENT, "lustre_client_stats", COUNTER, "Lustre client interface stats.")                    \
    X(LLITE_READ, "lustre_client_llite_read_bytes_total", COUNTER,                                 \
      "Total bytes read by the client")                                                            \
    X(LLITE_WRITE, "lustre_client_llite_write_bytes_total", COUNTER,                               \
      "Total bytes written by the client")                                                         \
    X(READ_AHEAD, "lustre_client_read_ahead_stats_total", COUNTER,                                 \
      "Number of read-ahead events of the client, by operation")                                   \
    X(OSC, "lustre_client_osc_stats_total", COUNTER,                                               \
      "Number of RPCs the client has sent to the target, by operation")                            \
    X(OSC_READ, "lustre_client_osc_read_bytes_total", COUNTER,                                     \
      "Total bytes read by the client via OSC")                                                    \
    X(OSC_WRITE, "lustre_client_osc_write_bytes_total", COUNTER,                                   \
      "Total bytes written by the client via OSC")                                                 \
    X(OSC_GRANT, "lustre_client_osc_cur_grant_bytes", GAUGE,                                       \
      "Bytes of write grant the client currently holds from the OST")                              \
    X(OSC_DIRTY, "lustre_client_osc_cur_dirty_bytes", GAUGE,                                       \
      "Bytes of dirty data the client currently caches for the OST")                               \
    X(MDC, "lustre_client_mdc_stats_total", COUNTER,                                               \
      "Number of RPCs the client has sent to the target, by operation")                            \
    X(MDC_MD, "lustre_client_mdc_md_stats_requests_total", COUNTER,                                \
      "Total number of metadata requests, by operation")                                           \
    X(OSC_TIME_MIN, "lustre_client_osc_stats_time_microseconds_min", GAUGE,                        \
      "Minimum time taken for an operation, by operation, in microseconds")                        \
    X(OSC_TIME_MAX, "lustre_client_osc_stats_time_microseconds_max", GAUGE,                        \
      "Maximum time taken for an operation, by operation, in microseconds")                        \
    X(OSC_TIME, "lustre_client_osc_stats_time_microseconds_total", COUNTER,                        \
      "Total time taken by operations, by operation, in microseconds")                             \
    X(MDC_TIME_MIN, "lustre_client_mdc_stats_time_microseconds_min", GAUGE,                        \
      "Minimum time taken for an operation, by operation, in microseconds")                        \
    X(MDC_TIME_MAX, "lustre_client_mdc_stats_time_microseconds_max", GAUGE,                        \
      "Maximum time taken for an operation, by operation, in microseconds")                        \
    X(MDC_TIME, "lustre_client_mdc_stats_time_microseconds_total", COUNTER,                        \
      "Total time taken by operations, by operation, in microseconds")                             \
    X(CAPACITY, "lustre_capacity_kilobytes", GAUGE, "Capacity of the pool in kilobytes")           \
    X(FREE, "lustre_free_kilobytes", GAUGE, "Number of kilobytes allocated to the pool")           \
    X(AVAILABLE, "lustre_available_kilobytes", GAUGE,                                              \
      "Number of kilobytes readily available in the pool")                                         \
    X(INODES, "lustre_inodes_maximum", GAUGE,                                                      \
      "The maximum number of inodes (objects) the filesystem can hold")                            \
    X(INODES_FREE, "lustre_inodes_free", GAUGE, "The number of inodes (objects) available")        \
    X(EXPORTS, "lustre_exports_total", COUNTER,                                                    \
      "Total number of times the pool has been exported")                                          \
    X(CLIENTS, "lustre_connected_clients", GAUGE, "Number of connected clients")                   \
    X(DIRTY, "lustre_exports_dirty_total", COUNTER,                                                \
      "Total number of exports that have been marked dirty")                                       \
    X(GRANTED, "lustre_exports_granted_total", COUNTER,                                            \
      "Total number of exports that have been marked granted")                                     \
    X(PENDING, "lustre_exports_pending_total", COUNTER,                                            \
      "Total number of exports that have been marked pending")                                     \
    X(READS, "lustre_read_samples_total", COUNTER,                                                 \
      "Total number of reads that have been recorded.")                                            \
    X(READ_MIN, "lustre_read_minimum_size_bytes", GAUGE, "The minimum read size in bytes.")        \
    X(READ_MAX, "lustre_read_maximum_size_bytes", GAUGE, "The maximum read size in bytes.")        \
    X(READ_BYTES, "lustre_read_bytes_total", COUNTER,                                              \
      "The total number of bytes that have been read.")                                            \
    X(WRITES, "lustre_write_samples_total", COUNTER,                                               \
      "Total number of writes that have been recorded.")                                           \
    X(WRITE_MIN, "lustre_write_minimum_size_bytes", GAUGE, "The minimum write size in bytes.")     \
    X(WRITE_MAX, "lustre_write_maximum_size_bytes", GAUGE, "The maximum write size in bytes.")     \
    X(WRITE_BYTES, "lustre_write_bytes_total", COUNTER,                                            \
      "The total number of bytes that have been written.")                                         \
    X(STATS, "lustre_stats_total", COUNTER, "Number of operations the filesystem has performed.")  \
    X(STATS_MIN, "lustre_stats_time_min", GAUGE,                                                   \
      "Minimum time taken for an operation in microseconds")                                       \
    X(STATS_MAX, "lustre_stats_time_max", GAUGE,                                                   \
      "Maximum time taken for an operation in microseconds")                                       \
    X(STATS_TIME, "lustre_stats_time_total", GAUGE,                                                \
      "Total time taken for an operation in microseconds")                                         \
    X(PAGES, "lustre_pages_per_bulk_rw_total", COUNTER,                                            \
      "RPCs by pages in each; 'size' is the number of pages")                                      \
    X(DISCONT_PAGES, "lustre_discontiguous_pages_total", COUNTER,                                  \
      "RPCs by breaks in the offsets of their pages; 'size' is the number of breaks")              \
    X(DISCONT_BLOCKS, "lustre_discontiguous_blocks_total", COUNTER,                                \
      "RPCs by breaks in the blocks on disk; 'size' is the number of breaks")                      \
    X(DIO_FRAGS, "lustre_dio_frags", COUNTER,                                                      \
      "RPCs by the disk I/Os that each became; 'size' is the number of I/Os")                      \
    X(DISK_IO, "lustre_disk_io", COUNTER,                                                          \
      "Disk I/Os by how many were in flight; 'size' is that number")                               \
    X(IO_TIME, "lustre_io_time_milliseconds_total", COUNTER,                                       \
      "Disk I/Os by the time each took; 'size' is in milliseconds")                                \
    X(DISK_IO_SIZE, "lustre_disk_io_total", COUNTER,                                               \
      "Disk I/Os by their size; 'size' is in bytes")                                               \
    X(BLOCK_MAPS, "lustre_block_maps_milliseconds_total", COUNTER,                                 \
      "Maps of blocks by the time each took; 'size' is in milliseconds")                           \
    X(QUOTA_HARD, "lustre_quota_hard", GAUGE, "The hard quota for a given component")              \
    X(QUOTA_SOFT, "lustre_quota_soft", GAUGE, "The soft quota for a given component")              \
    X(QUOTA_GRANTED, "lustre_quota_granted", GAUGE, "The granted quota for a given component")     \
    X(QUOTA_KBYTES, "lustre_quota_used_kbytes", GAUGE,                                             \
      "The kilobytes used, by who is accounted for them")                                          \
    X(QUOTA_INODES, "lustre_quota_used_inodes", GAUGE,                                             \
      "The inodes used, by who is accounted for them")                                             \
    X(MDS, "lustre_mds_mdt_stats", GAUGE, "MDS mdt stats")                                         \
    X(OSS, "lustre_oss_ost_stats", GAUGE, "OSS ost stats")                                         \
    X(OSS_IO, "lustre_oss_ost_io_stats", GAUGE, "OSS ost_io stats")                                \
    X(OSS_CREATE, "lustre_oss_ost_create_stats", GAUGE, "OSS ost_create stats")                    \
    X(CANCELD, "lustre_ldlm_canceld_stats", COUNTER,                                               \
      "Gives information about LDLM Canceld service.")                                             \
    X(CBD, "lustre_ldlm_cbd_stats", COUNTER, "Gives information about LDLM Callback service.")     \
    X(LOCKS, "lustre_lock_count_total", COUNTER, "Number of locks")                                \
    X(LOCK_TIMEOUTS, "lustre_lock_timeout_total", COUNTER, "Number of lock timeouts")              \
    X(CONTENDED, "lustre_lock_contended_total", COUNTER, "Number of contended locks")              \
    X(CONTENTION, "lustre_lock_contention_seconds_total", COUNTER,                                 \
      "Time in seconds during which locks were contended")                                         \
    X(RECOVERY, "recovery_status", GAUGE,                                                          \
      "Gives the recovery status off a target. 0=Complete 1=Inactive 2=Waiting "                   \
      "3=WaitingForClients 4=Recovering 5=Unknown")                                                \
    X(RECOVERY_DONE, "recovery_status_completed_clients", GAUGE,                                   \
      "Gives the count of clients that complete the recovery on a target.")                        \
    X(RECOVERY_CONNECTED, "recovery_status_connected_clients", GAUGE,                              \
      "Gives the count of clients connected to a target.")                                         \
    X(RECOVERY_EVICTED, "recovery_status_evicted_clients", GAUGE,                                  \
      "Gives the count of clients evicted from a target.")                                         \
    X(RECOVERY_TOTAL, "recovery_status_total_clients", GAUGE,                                      \
      "Gives the count of clients that a recovery waits for.")                                     \
    X(RECOVERY_TIME, "recovery_status_duration_seconds", GAUGE,                                    \
      "How long the last recovery of a target took.")                                              \
    X(RECOVERY_LEFT, "recovery_status_time_remaining_seconds", GAUGE,                              \
      "How long a recovery may still take.")                                                       \
    X(JOB_READS, "lustre_job_read_samples_total", COUNTER,                                         \
      "Total number of reads that have been recorded.")                                            \
    X(JOB_READ_MIN, "lustre_job_read_minimum_size_bytes", GAUGE,                                   \
      "The minimum read size in bytes.")                                                           \
    X(JOB_READ_MAX, "lustre_job_read_maximum_size_bytes", GAUGE,                                   \
      "The maximum read size in bytes.")                                                           \
    X(JOB_READ_BYTES, "lustre_job_read_bytes_total", COUNTER,                                      \
      "The total number of bytes that have been read.")                                            \
    X(JOB_WRITES, "lustre_job_write_samples_total", COUNTER,                                       \
      "Total number of writes that have been recorded.")                                           \
    X(JOB_WRITE_MIN, "lustre_job_write_minimum_size_bytes", GAUGE,                                 \
      "The minimum write size in bytes.")                                                          \
    X(JOB_WRITE_MAX, "lustre_job_write_maximum_size_bytes", GAUGE,                                 \
      "The maximum write size in bytes.")                                                          \
    X(JOB_WRITE_BYTES, "lustre_job_write_bytes_total", COUNTER,                                    \
      "The total number of bytes that have been written.")                                         \
    X(JOB_STATS, "lustre_job_stats_total", COUNTER,                                                \
      "Number of operations the filesystem has performed, recorded by jobstats.")

#define AS_ENUM(id, name, type, help) L_##id,
enum family { FAMILIES(AS_ENUM) N_FAMILIES };

struct sample {
    struct str labels;
    double v;
};
struct gathered {
    struct node *n;
    size_t len;
    struct {
        VEC(struct sample) v;
    } of[N_FAMILIES];
};
/* NAN: there is no such thing. */
void lustre_add(struct gathered *g, enum family f, struct str labels, double v);

/* "kind/target/file" as `lctl get_param` names it, of the first tree that has it. */
bool lustre_read(struct node *n, struct str *out, const char *kind, const char *target,
                 const char *file);
double lustre_number(struct node *n, const char *kind, const char *target, const char *file);
void lustre_targets(struct node *n, const char *kind, struct node_names *out);

/* "open  434 samples [usecs] 1 1229 10438 10028664": min, max, sum where there are any. */
struct stat_line {
    const char *name, *unit;
    double samples, min, max, sum;
};
bool lustre_next_stat(struct node *n, struct str *text, struct stat_line *out);
/* Samples, min, max and sum in four families from `first` on. */
void lustre_add_io(struct gathered *g, enum family first, struct str labels,
                   const struct stat_line *s);

/* lustre_target.c: the targets of a server. */
void lustre_gather_targets(struct gathered *g);
