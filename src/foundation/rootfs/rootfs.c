#include "rootfs/rootfs_priv.h"

#include "base/lock.h"
#include "base/map.h"
#include "base/mem.h"
#include "content/content.h"
#include "helper/helper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNPACKERS 4          /* at once: they share the disk */
#define KNOWN_MAX (64 * KIB) /* remembered layers; then we ask the helper again */

/* What we know about a chain id. */
static char working[] = "working", there[] = "there";

struct rootfs {
    struct content *content;
    struct helper_client *helper;
    struct lock lock;
    /* guarded by lock */
    struct map chains; /* chain id -> working or there */
    size_t n_working;
};

struct rootfs *rootfs_new(struct content *c, struct helper_client *h)
{
    struct rootfs *r = xnew(struct rootfs);

    r->content = c;
    r->helper = h;
    lock_init(&r->lock, LOCK_rootfs);
    return r;
}

void rootfs_free(struct rootfs *r)
{
    if (r == NULL) {
        return;
    }
    map_done(&r->chains);
    lock_done(&r->lock);
    free(r);
}

/* --- single flight --- */

/* Waits until the layer is there (false) or it is ours to unpack (true; then flight_end). */
static bool flight_begin(struct rootfs *r, struct str chain)
{
    struct lock *l = &r->lock;

    WITH_LOCK(l);
    for (;;) {
        const char *state = map_get(&r->chains, chain);

        if (state == there) {
            return false;
        }
        if (state == NULL && r->n_working < UNPACKERS) {
            (void)map_put(&r->chains, chain, working);
            r->n_working++;
            return true;
        }
        lock_wait(l);
    }
}

static void forget_some(struct rootfs *r)
{
    lock_assert(&r->lock);
    if (r->chains.len > KNOWN_MAX && r->n_working == 0) {
        map_done(&r->chains);
        r->chains = (struct map){0};
    }
}

static void flight_end(struct rootfs *r, struct str chain, char *state)
{
    struct lock *l = &r->lock;

    WITH_LOCK(l);
    r->n_working--;
    if (state != NULL) {
        (void)map_put(&r->chains, chain, state);
    } else {
        (void)map_del(&r->chains, chain);
    }
    forget_some(r);
    lock_broadcast(l);
}

/* --- layers --- */

static int digest_hex(const char *diff_id, char hex[SHA256_HEX + 1], struct err *e)
{
    struct str s = str_of(diff_id);

    if (!str_starts(s, STR("sha256:")) || !rootfs_chain_ok(str_from(s, 7))) {
        return err_set(e, ERR_INVALID, "diff_id %.80s is not sha256:<64 hexadecimal digits>",
                       diff_id);
    }
    memcpy(hex, s.p + 7, SHA256_HEX + 1);
    return 0;
}

/* OCI image-spec 1.1, config.md "Layer ChainID": the first is its DiffID; each other is the digest
 * of "ChainID DiffID". */
static void next_chain(const char *before, const char *diff_hex, char out[65])
{
    char text[160];
    int n;

    if (before == NULL) {
        memcpy(out, diff_hex, SHA256_HEX + 1);
        return;
    }
    n = snprintf(text, sizeof(text), "sha256:%s sha256:%s", before, diff_hex);
    sha256_hex_of(str_n(text, (size_t)n), out);
}

static int unpack(struct rootfs *r, const char *digest, const char *diff_hex, const char *chain,
                  struct err *e)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(512);
    SCOPED(closep) int blob = -1;
    int64_t size_bytes;

    if (content_blob_open(r->content, digest, &blob, &size_bytes, e) < 0) {
        return -1;
    }
    wire_put_str(&b, str_of(chain));
    wire_put_str(&b, str_of(diff_hex));
    return helper_call(r->helper, HELPER_ROOTFS_UNPACK, buf_str(&b), blob, NULL, NULL, e);
}

static int prepare_layer(struct rootfs *r, const struct rootfs_layer *layer, const char *diff_hex,
                         const char *chain, struct err *e)
{
    int rc;

    if (!flight_begin(r, str_of(chain))) {
        return 0;
    }
    rc = unpack(r, layer->digest, diff_hex, chain, e);
    flight_end(r, str_of(chain), rc == 0 ? there : NULL);
    return rc < 0 ? err_wrap(e, "layer %.19s", layer->digest) : 0;
}

int rootfs_prepare(struct rootfs *r, const struct rootfs_layer *layers, size_t n,
                   char (*chains)[65], struct err *e)
{
    if (n > LIMIT_LAYERS) {
        return err_set(e, ERR_LIMIT, "image has %zu layers; %d can be mounted", n, LIMIT_LAYERS);
    }
    for (size_t i = 0; i < n; i++) {
        char diff_hex[SHA256_HEX + 1];

        if (digest_hex(layers[i].diff_id, diff_hex, e) < 0) {
            return err_wrap(e, "layer %zu", i + 1);
        }
        next_chain(i > 0 ? chains[i - 1] : NULL, diff_hex, chains[i]);
        if (prepare_layer(r, &layers[i], diff_hex, chains[i], e) < 0) {
            return -1;
        }
    }
    return 0;
}
