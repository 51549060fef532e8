/* usage_http - what a job used over time, for charts: the samples that the runtime keeps of each
 * attempt, while it runs and after its end, until the job is deleted. */
#pragma once
#include "net/http.h"

int job_usage_get(struct http_req *r, struct err *e);
