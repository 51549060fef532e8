/* deny - where the server's own requests do not go (net.outbound_deny), for all that use libcurl.
 *
 * A name is looked at when curl asks for a socket to the address it found, so that neither a
 * redirect nor a name that resolves to another address later leads around it. Behind a proxy the
 * addresses that URLs name are all there is to see.
 *
 * Threads: any; read-only. */
#pragma once
#include "base/cidr.h"

#include <curl/curl.h>

struct fetch_deny {
    const struct cidr *nets; /* kept by the caller */
    size_t n;
};

/* CURLOPT_OPENSOCKETFUNCTION: CURL_SOCKET_BAD and *is_denied for an address that is denied, or no
 * address of the Internet. `d` may be NULL. */
curl_socket_t fetch_deny_socket(const struct fetch_deny *d, struct curl_sockaddr *to,
                                bool *is_denied);
/* The URL names a denied address itself. */
bool fetch_deny_url(const struct fetch_deny *d, const char *url);
/* Where a Location header leads, as curl reads it. True when it names a denied address, or cannot
 * be read. */
bool fetch_deny_location(const struct fetch_deny *d, const char *from, struct str to);
