/* NFS as client and server: /proc/net/rpc. Lines of a word and numbers, whose places mean calls. */
#include "exporter/collect.h"

#include "base/limits.h"

#include <stdio.h>
#include <string.h>

static const char *const calls_v2[] = {
    "Null",   "GetAttr", "SetAttr", "Root", "Lookup",  "ReadLink", "Read",  "WrCache", "Write",
    "Create", "Remove",  "Rename",  "Link", "SymLink", "MkDir",    "RmDir", "ReadDir", "FsStat"};
static const char *const calls_v3[] = {
    "Null",    "GetAttr",     "SetAttr", "Lookup", "Access",   "ReadLink", "Read",   "Write",
    "Create",  "MkDir",       "SymLink", "MkNod",  "Remove",   "RmDir",    "Rename", "Link",
    "ReadDir", "ReadDirPlus", "FsStat",  "FsInfo", "PathConf", "Commit"};
static const char *const client_v4[] = {"Null",
                                        "Read",
                                        "Write",
                                        "Commit",
                                        "Open",
                                        "OpenConfirm",
                                        "OpenNoattr",
                                        "OpenDowngrade",
                                        "Close",
                                        "Setattr",
                                        "FsInfo",
                                        "Renew",
                                        "SetClientID",
                                        "SetClientIDConfirm",
                                        "Lock",
                                        "Lockt",
                                        "Locku",
                                        "Access",
                                        "Getattr",
                                        "Lookup",
                                        "LookupRoot",
                                        "Remove",
                                        "Rename",
                                        "Link",
                                        "Symlink",
                                        "Create",
                                        "Pathconf",
                                        "StatFs",
                                        "ReadLink",
                                        "ReadDir",
                                        "ServerCaps",
                                        "DelegReturn",
                                        "GetACL",
                                        "SetACL",
                                        "FsLocations",
                                        "ReleaseLockowner",
                                        "Secinfo",
                                        "FsidPresent",
                                        "ExchangeID",
                                        "CreateSession",
                                        "DestroySession",
                                        "Sequence",
                                        "GetLeaseTime",
                                        "ReclaimComplete",
                                        "LayoutGet",
                                        "GetDeviceInfo",
                                        "LayoutCommit",
                                        "LayoutReturn",
                                        "SecinfoNoName",
                                        "TestStateID",
                                        "FreeStateID",
                                        "GetDeviceList",
                                        "BindConnToSession",
                                        "DestroyClientID",
                                        "Seek",
                                        "Allocate",
                                        "DeAllocate",
                                        "LayoutStats",
                                        "Clone"};
/* From the fourth number on: the first three are of no operation. */
static const char *const server_v4[] = {"Access",      "Close",
                                        "Commit",      "Create",
                                        "DelegPurge",  "DelegReturn",
                                        "GetAttr",     "GetFH",
                                        "Link",        "Lock",
                                        "Lockt",       "Locku",
                                        "Lookup",      "LookupRoot",
                                        "Nverify",     "Open",
                                        "OpenAttr",    "OpenConfirm",
                                        "OpenDgrd",    "PutFH",
                                        "PutPubFH",    "PutRootFH",
                                        "Read",        "ReadDir",
                                        "ReadLink",    "Remove",
                                        "Rename",      "Renew",
                                        "RestoreFH",   "SaveFH",
                                        "SecInfo",     "SetAttr",
                                        "SetClientID", "SetClientIDConfirm",
                                        "Verify",      "Write",
                                        "RelLockOwner"};

/* The numbers behind the word `key` of a file. */
static struct str line_of(struct str text, const char *key)
{
    while (text.len > 0) {
        struct str line = text_line(&text);

        if (str_eq_c(text_word(&line), key)) {
            return line;
        }
    }
    return (struct str){0};
}

static double nth(struct str line, int n)
{
    for (int i = 0; i < n; i++) {
        (void)text_word(&line);
    }
    return text_or(text_word(&line), 0);
}

struct calls {
    const char *key, *proto;
    const char *const *names;
    size_t n;
    int skip; /* numbers before the first call */
};

/* An older kernel has fewer calls: none was made of those. */
static void put_calls(struct page *p, struct str text, const struct calls *c)
{
    struct str line = line_of(text, c->key);

    for (int i = 0; i < c->skip; i++) {
        (void)text_word(&line);
    }
    for (size_t i = 0; i < c->n; i++) {
        page_add(p, text_or(text_word(&line), 0), "method", c->names[i], "proto", c->proto, NULL);
    }
}

int collect_nfs(struct node *n, struct page *p, struct err *e)
{
    static const struct calls all[] = {
        {"proc2", "2", calls_v2, ARRAY_LEN(calls_v2), 1},
        {"proc3", "3", calls_v3, ARRAY_LEN(calls_v3), 1},
        {"proc4", "4", client_v4, ARRAY_LEN(client_v4), 1},
    };
    struct str text, line;

    if (node_read(n, NODE_PROC, &text, e, "net/rpc/nfs") < 0) {
        return -1;
    }
    line = line_of(text, "net");
    page_family(p, "node_nfs_packets_total", PAGE_COUNTER,
                "Total NFSd network packets (sent+received) by protocol type.");
    page_add(p, nth(line, 1), "protocol", "udp", NULL);
    page_add(p, nth(line, 2), "protocol", "tcp", NULL);
    page_one(p, "node_nfs_connections_total", PAGE_COUNTER, "Total number of NFSd TCP connections.",
             nth(line, 3));
    line = line_of(text, "rpc");
    page_one(p, "node_nfs_rpcs_total", PAGE_COUNTER, "Total number of RPCs performed.",
             nth(line, 0));
    page_one(p, "node_nfs_rpc_retransmissions_total", PAGE_COUNTER,
             "Number of RPC transmissions performed.", nth(line, 1));
    page_one(p, "node_nfs_rpc_authentication_refreshes_total", PAGE_COUNTER,
             "Number of RPC authentication refreshes performed.", nth(line, 2));
    page_family(p, "node_nfs_requests_total", PAGE_COUNTER, "Number of NFS procedures invoked.");
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        put_calls(p, text, &all[i]);
    }
    return 0;
}

int collect_nfsd(struct node *n, struct page *p, struct err *e)
{
    static const struct calls all[] = {
        {"proc2", "2", calls_v2, ARRAY_LEN(calls_v2), 1},
        {"proc3", "3", calls_v3, ARRAY_LEN(calls_v3), 1},
        {"proc4ops", "4", server_v4, ARRAY_LEN(server_v4), 4},
    };
    static const struct {
        const char *key;
        int place;
        const char *name, *help;
        enum page_type type;
    } rows[] = {
        {"rc", 0, "node_nfsd_reply_cache_hits_total",
         "Total number of NFSd Reply Cache hits (client lost server response).", PAGE_COUNTER},
        {"rc", 1, "node_nfsd_reply_cache_misses_total",
         "Total number of NFSd Reply Cache an operation that requires caching (idempotent).",
         PAGE_COUNTER},
        {"rc", 2, "node_nfsd_reply_cache_nocache_total",
         "Total number of NFSd Reply Cache non-idempotent operations (rename/delete/…).",
         PAGE_COUNTER},
        {"fh", 0, "node_nfsd_file_handles_stale_total", "Total number of NFSd stale file handles",
         PAGE_COUNTER},
        {"io", 0, "node_nfsd_disk_bytes_read_total", "Total NFSd bytes read.", PAGE_COUNTER},
        {"io", 1, "node_nfsd_disk_bytes_written_total", "Total NFSd bytes written.", PAGE_COUNTER},
        {"th", 0, "node_nfsd_server_threads",
         "Total number of NFSd kernel threads that are running.", PAGE_GAUGE},
        {"ra", 0, "node_nfsd_read_ahead_cache_size_blocks",
         "How large the read ahead cache is in blocks.", PAGE_GAUGE},
        {"ra", 11, "node_nfsd_read_ahead_cache_not_found_total",
         "Total number of NFSd read ahead cache not found.", PAGE_COUNTER},
        {"net", 3, "node_nfsd_connections_total", "Total number of NFSd TCP connections.",
         PAGE_COUNTER},
        {"rpc", 0, "node_nfsd_server_rpcs_total", "Total number of NFSd RPCs.", PAGE_COUNTER},
    };
    struct str text, line;

    if (node_read(n, NODE_PROC, &text, e, "net/rpc/nfsd") < 0) {
        return -1;
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        line = line_of(text, rows[i].key);
        if (line.p) {
            page_one(p, rows[i].name, rows[i].type, rows[i].help, nth(line, rows[i].place));
        }
    }
    line = line_of(text, "net");
    page_family(p, "node_nfsd_packets_total", PAGE_COUNTER,
                "Total NFSd network packets (sent+received) by protocol type.");
    page_add(p, nth(line, 1), "proto", "udp", NULL);
    page_add(p, nth(line, 2), "proto", "tcp", NULL);
    line = line_of(text, "rpc");
    page_family(p, "node_nfsd_rpc_errors_total", PAGE_COUNTER,
                "Total number of NFSd RPC errors by error type.");
    page_add(p, nth(line, 2), "error", "fmt", NULL);
    page_add(p, nth(line, 3), "error", "auth", NULL);
    page_add(p, nth(line, 4), "error", "cInt", NULL);
    page_family(p, "node_nfsd_requests_total", PAGE_COUNTER,
                "Total number NFSd Requests by method and protocol.");
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        put_calls(p, text, &all[i]);
    }
    return 0;
}
