#include "fetch/deny.h"

#include "base/mem.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static bool address_of(const struct curl_sockaddr *a, unsigned char out[16])
{
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    if (a->family == AF_INET) {
        memcpy(out, mapped, sizeof(mapped));
        memcpy(out + 12, &((const struct sockaddr_in *)(const void *)&a->addr)->sin_addr, 4);
        return true;
    }
    if (a->family == AF_INET6) {
        memcpy(out, &((const struct sockaddr_in6 *)(const void *)&a->addr)->sin6_addr, 16);
        return true;
    }
    return false;
}

static bool has(const struct fetch_deny *d, const unsigned char addr[16])
{
    for (size_t i = 0; d != NULL && i < d->n; i++) {
        if (cidr_has(&d->nets[i], addr)) {
            return true;
        }
    }
    return false;
}

curl_socket_t fetch_deny_socket(const struct fetch_deny *d, struct curl_sockaddr *to,
                                bool *is_denied)
{
    unsigned char addr[16];

    *is_denied = !address_of(to, addr) || has(d, addr);
    return *is_denied ? CURL_SOCKET_BAD /* a name may have several addresses: the next may do */
                      : socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static bool host_is_denied(const struct fetch_deny *d, CURLU *u)
{
    char *host = NULL;
    unsigned char addr[16];
    bool denied = curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                  cidr_address(str_of(host), addr) == 0 && has(d, addr);

    curl_free(host);
    return denied;
}

bool fetch_deny_url(const struct fetch_deny *d, const char *url)
{
    CURLU *u = curl_url();
    bool denied =
        u != NULL && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK && host_is_denied(d, u);

    curl_url_cleanup(u);
    return denied;
}

bool fetch_deny_location(const struct fetch_deny *d, const char *from, struct str to)
{
    SCOPED(freep) char *text = xstrndup(to.p, to.len);
    CURLU *u = curl_url();
    CURLUcode read = u == NULL ? CURLUE_OUT_OF_MEMORY : curl_url_set(u, CURLUPART_URL, from, 0);
    bool denied;

    read = read == CURLUE_OK ? curl_url_set(u, CURLUPART_URL, text, CURLU_URLENCODE) : read;
    /* no address of a server: curl does not go there, and says so */
    denied = read == CURLUE_OK ? host_is_denied(d, u) : read != CURLUE_UNSUPPORTED_SCHEME;
    curl_url_cleanup(u);
    return denied;
}
