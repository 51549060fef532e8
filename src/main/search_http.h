/* search_http - GET /api/v1/search, over projects, volumes, repositories and jobs. */
#pragma once
#include "net/http.h"

int search_http(struct http_req *r, struct err *e); /* ctx: struct system_http * */
