/* Reverse proxies in front of us: whose X-Forwarded-* we believe. */
#include "net/net_priv.h"

#include <arpa/inet.h>
#include <string.h>

/* IPv4 as ::ffff:a.b.c.d, so that one comparison does both. */
static int parse_address(struct str s, unsigned char out[16])
{
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    char text[INET6_ADDRSTRLEN];

    if (s.len > 2 && s.p[0] == '[' && s.p[s.len - 1] == ']') {
        s = str_n(s.p + 1, s.len - 2);
    }
    if (str_copy(s, text, sizeof(text)) < 0) {
        return -1;
    }
    if (inet_pton(AF_INET6, text, out) == 1) {
        return 0;
    }
    memcpy(out, mapped, sizeof(mapped));
    return inet_pton(AF_INET, text, out + 12) == 1 ? 0 : -1;
}

static int parse_net(struct str text, struct proxy_net *out)
{
    ptrdiff_t slash = str_find_char(text, '/');
    struct str addr = slash < 0 ? text : str_first(text, (size_t)slash);
    unsigned base = str_find_char(addr, ':') < 0 ? 96 : 0;
    uint64_t bits = 128 - base;

    if (slash >= 0 &&
        (str_to_u64(str_from(text, (size_t)slash + 1), &bits) < 0 || bits > 128 - base)) {
        return -1;
    }
    out->bits = (unsigned)bits + base;
    return parse_address(addr, out->addr);
}

int proxies_parse(struct str list, struct proxy_net *out, size_t *n, struct err *e)
{
    struct str rest = list;
    size_t found = 0;

    while (rest.p) {
        struct str one = str_trim(str_cut(&rest, ','));

        if (one.len == 0) {
            continue;
        }
        if (found == PROXIES_MAX) {
            return err_set(e, ERR_INVALID, "net.trusted_proxies: more than %d entries",
                           PROXIES_MAX);
        }
        if (parse_net(one, &out[found++]) < 0) {
            return err_set(e, ERR_INVALID,
                           "net.trusted_proxies: \"%.*s\" is neither an address nor a network "
                           "(10.0.0.0/8, ::1)",
                           STR_ARG(str_first(one, 64)));
        }
    }
    *n = found;
    return 0;
}

static bool in_net(const struct proxy_net *net, const unsigned char addr[16])
{
    unsigned bytes = net->bits / 8, rest = net->bits % 8;

    return memcmp(net->addr, addr, bytes) == 0 &&
           (rest == 0 || (net->addr[bytes] ^ addr[bytes]) >> (8 - rest) == 0);
}

static bool is_trusted(const struct http_server *s, struct str peer)
{
    unsigned char addr[16];

    if (parse_address(peer, addr) < 0) {
        return false;
    }
    for (size_t i = 0; i < s->n_proxies; i++) {
        if (in_net(&s->proxies[i], addr)) {
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

        if (parse_address(one, addr) < 0) {
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
