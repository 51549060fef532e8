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

/* A layer of an image: where it is unpacked, and which blob it is said to come from. That the chain
 * is there gives nobody the layer: only a blob that was seen to unpack to it does. */
struct wanted {
    const char *chain, *diff_hex;
    char blob_hex[SHA256_HEX + 1];
    char pair[2 * SHA256_HEX + 2]; /* "chain blob" */
};

struct rootfs {
    struct content *content;
    struct helper_client *helper;
    struct lock lock;
    /* guarded by lock */
    struct map working; /* chain ids */
    struct map known;   /* pairs */
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
    map_done(&r->working);
    map_done(&r->known);
    lock_done(&r->lock);
    free(r);
}

/* --- single flight --- */

/* Waits until the layer is there from this blob (false) or it is ours to unpack or to compare
 * (true; then flight_end). */
static bool flight_begin(struct rootfs *r, const struct wanted *w)
{
    struct lock *l = &r->lock;

    WITH_LOCK(l);
    for (;;) {
        if (map_get(&r->known, str_of(w->pair)) != NULL) {
            return false;
        }
        if (map_get(&r->working, str_of(w->chain)) == NULL && r->working.len < UNPACKERS) {
            (void)map_put(&r->working, str_of(w->chain), r);
            return true;
        }
        lock_wait(l);
    }
}

static void forget_some(struct rootfs *r)
{
    lock_assert(&r->lock);
    if (r->known.len >= KNOWN_MAX) {
        map_done(&r->known);
        r->known = (struct map){0};
    }
}

enum flight_result { FLIGHT_FAILED, FLIGHT_WHOLE };

static void flight_end(struct rootfs *r, const struct wanted *w, enum flight_result result)
{
    struct lock *l = &r->lock;

    WITH_LOCK(l);
    (void)map_del(&r->working, str_of(w->chain));
    if (result == FLIGHT_WHOLE) {
        forget_some(r);
        (void)map_put(&r->known, str_of(w->pair), r);
    }
    lock_broadcast(l);
}

/* --- layers --- */

static int digest_hex(const char *what, const char *digest, char hex[SHA256_HEX + 1], struct err *e)
{
    struct str s = str_of(digest);

    if (!str_starts(s, STR("sha256:")) || !rootfs_chain_ok(str_from(s, 7))) {
        return err_set(e, ERR_INVALID, "%s %.80s is not sha256:<64 hexadecimal digits>", what,
                       digest);
    }
    memcpy(hex, s.p + 7, SHA256_HEX + 1);
    return 0;
}

/* What a blob is called beside the layer it unpacks to: its own SHA-256, or that of its name. */
static void blob_name(const char *digest, char hex[SHA256_HEX + 1])
{
    struct str s = str_of(digest);

    if (str_starts(s, STR("sha256:")) && rootfs_chain_ok(str_from(s, 7))) {
        memcpy(hex, s.p + 7, SHA256_HEX + 1);
    } else {
        sha256_hex_of(s, hex);
    }
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

static int unpack(struct rootfs *r, const char *digest, const struct wanted *w, struct err *e)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(512);
    SCOPED(closep) int blob = -1;
    int64_t size_bytes;

    if (content_blob_open(r->content, digest, &blob, &size_bytes, e) < 0) {
        return -1;
    }
    wire_put_str(&b, str_of(w->chain));
    wire_put_str(&b, str_of(w->diff_hex));
    wire_put_str(&b, str_of(w->blob_hex));
    return helper_call(r->helper, HELPER_ROOTFS_UNPACK, buf_str(&b), blob, NULL, NULL, e);
}

static int prepare_layer(struct rootfs *r, const struct rootfs_layer *layer, const char *diff_hex,
                         const char *chain, struct err *e)
{
    struct wanted w = {.chain = chain, .diff_hex = diff_hex};
    int rc;

    blob_name(layer->digest, w.blob_hex);
    (void)snprintf(w.pair, sizeof(w.pair), "%s %s", chain, w.blob_hex);
    if (!flight_begin(r, &w)) {
        return 0;
    }
    rc = unpack(r, layer->digest, &w, e);
    flight_end(r, &w, rc == 0 ? FLIGHT_WHOLE : FLIGHT_FAILED);
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

        if (digest_hex("diff_id", layers[i].diff_id, diff_hex, e) < 0) {
            return err_wrap(e, "layer %zu", i + 1);
        }
        next_chain(i > 0 ? chains[i - 1] : NULL, diff_hex, chains[i]);
        if (prepare_layer(r, &layers[i], diff_hex, chains[i], e) < 0) {
            return -1;
        }
    }
    return 0;
}
