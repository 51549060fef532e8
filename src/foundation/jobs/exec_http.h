/* exec_http - the route of a shell in a running job: what may be asked, and by how many at once.
 * Then the engine starts the process and shell.c moves its bytes. */
#pragma once
#include "net/http.h"

int job_exec_get(struct http_req *r, struct err *e);
