/* sd_dns - targets in an answer of DNS. Private to scrape. */
#pragma once
#include "scrape/config.h"

/* `type`: A, AAAA, SRV, MX, NS. Records of other types are passed over. */
int sd_dns_read(struct arena *a, struct str message, struct str name, struct str type,
                uint64_t port, struct target_group *out, struct err *e) MUST_USE;
