/* cidr - addresses and networks: "10.0.0.0/8", "::1", "fe80::/10". IPv4 is held as ::ffff:a.b.c.d,
 * so one comparison does both. */
#pragma once
#include "base/str.h"

struct cidr {
    unsigned char addr[16];
    unsigned bits;
};

/* An address as text, also in brackets. -1: it is none. */
int cidr_address(struct str text, unsigned char out[16]) MUST_USE;
int cidr_parse(struct str text, struct cidr *out) MUST_USE;
/* A list separated by commas, of at most `max`; ERR_INVALID begins with `what`, the setting's name.
 */
int cidr_list(struct str list, const char *what, struct cidr *out, size_t max, size_t *n,
              struct err *e) MUST_USE;
bool cidr_has(const struct cidr *net, const unsigned char addr[16]);
