/* remote_write - a request of Prometheus' remote write, 1.0 and 2.0, into the store.
 *
 *   POST /prometheus/api/v1/write --> snappy --> protobuf --> appender
 *
 * Threads: any. Limits: LIMIT_REMOTE_WRITE_BYTES of the body and LIMIT_REMOTE_WRITE_WHOLE_BYTES of
 * what it unpacks to. Source: https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/ */
#pragma once
#include "labels/labels.h"

struct tsdb;

struct remote_write_answer {
    int status; /* 204; 4xx: do not send it again; 5xx: do */
    /* Of version 2.0 (`is_v2`): X-Prometheus-Remote-Write-{Samples,Histograms,Exemplars}-Written,
     * also in answers that are errors. */
    bool is_v2;
    uint64_t samples, histograms, exemplars;
};

/* Whose samples they are: a project's writer cannot write as another. */
struct remote_write_owner {
    struct label label; /* is set on every series; name empty: those of an administrator */
    size_t max_series;  /* with that label, past which new ones are refused */
};

/* Headers as they came (p == NULL: none): Content-Type and Content-Encoding. 0: status 2xx. -1:
 * status 4xx or 5xx with the sentence; some of the samples may have been taken (those are counted).
 * What it took is durable. */
int remote_write_take(struct tsdb *db, struct str content_type, struct str content_encoding,
                      struct str body, const struct remote_write_owner *owner,
                      struct remote_write_answer *out, struct err *e) MUST_USE;
