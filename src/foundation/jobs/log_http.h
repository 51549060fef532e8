/* log_http - the output of a job over HTTP: as it is, or followed until the job ends.
 *
 * A follower costs no thread: its connection is parked (http_park), and the relay thread reads the
 * log file when it is woken by the job's end, at each tick, and when the socket takes more. Memory
 * per follower is flat, however long the log is. */
#pragma once
#include "net/http.h"

int job_log_get(struct http_req *r, struct err *e);
