/* files_http - the files that changed in a job's writable volumes while an attempt of it ran. */
#pragma once
#include "net/http.h"

int job_files_get(struct http_req *r, struct err *e);
