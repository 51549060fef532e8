/* Reverse proxies in front of us: whose X-Forwarded-* we believe. */
#include "net/net_priv.h"

#include "base/cidr.h"

static bool is_trusted(const struct http_server *s, struct str peer)
{
    unsigned char addr[16];

    if (cidr_address(peer, addr) < 0) {
        return false;
    }
    for (size_t i = 0; i < s->n_proxies; i++) {
        if (cidr_has(&s->proxies[i], addr)) {
            return true;
        }
    }
    return false;
}

/* The last address that is not a proxy of ours: everything before it may be made up. */
static struct str last_untrusted(const struct http_server *s, struct str chain)
{
    for (;;) {
        ptrdiff_t comma = str_rfind_char(chain, ',');
        struct str one = str_trim(comma < 0 ? chain : str_from(chain, (size_t)comma + 1));
        unsigned char addr[16];

        if (cidr_address(one, addr) < 0) {
            return STR_EMPTY;
        }
        if (comma < 0 || !is_trusted(s, one)) {
            return one;
        }
        chain = str_first(chain, (size_t)comma);
    }
}

void proxies_apply(const struct http_server *s, struct http_req *r)
{
    struct str chain, proto, host, client;

    if (s->n_proxies == 0 || !is_trusted(s, str_of(r->peer))) {
        return;
    }
    chain = http_header(r, "X-Forwarded-For");
    proto = http_header(r, "X-Forwarded-Proto");
    host = http_header(r, "X-Forwarded-Host");
    client = chain.p ? last_untrusted(s, chain) : STR_EMPTY;
    if (client.len > 0) {
        (void)!str_copy(client, r->peer, sizeof(r->peer));
    }
    if (str_eq(proto, STR("https")) || str_eq(proto, STR("http"))) {
        r->scheme = proto;
    }
    if (host.p && http_host_valid(host)) {
        r->host = host;
    }
}
