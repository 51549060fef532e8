#include "base/cidr.h"

#include <arpa/inet.h>
#include <string.h>

int cidr_address(struct str s, unsigned char out[16])
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

int cidr_parse(struct str text, struct cidr *out)
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
    return cidr_address(addr, out->addr);
}

int cidr_list(struct str list, const char *what, struct cidr *out, size_t max, size_t *n,
              struct err *e)
{
    struct str rest = list;
    size_t found = 0;

    while (rest.p) {
        struct str one = str_trim(str_cut(&rest, ','));

        if (one.len == 0) {
            continue;
        }
        if (found == max) {
            return err_set(e, ERR_INVALID, "%s: more than %zu entries", what, max);
        }
        if (cidr_parse(one, &out[found++]) < 0) {
            return err_set(e, ERR_INVALID,
                           "%s: \"%.*s\" is neither an address nor a network (10.0.0.0/8, ::1)",
                           what, STR_ARG(str_first(one, 64)));
        }
    }
    *n = found;
    return 0;
}

bool cidr_has(const struct cidr *net, const unsigned char addr[16])
{
    unsigned bytes = net->bits / 8, rest = net->bits % 8;

    return memcmp(net->addr, addr, bytes) == 0 &&
           (rest == 0 || (net->addr[bytes] ^ addr[bytes]) >> (8 - rest) == 0);
}
