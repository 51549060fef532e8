/* rootfs - image layers as directories that overlay mounts can use.
 *
 *   jobs -> runtime -> rootfs_prepare -> helper -> confined unpacker (libarchive) ->
 * rootfs/<chain>/fs
 *
 * Layers are unpacked once and cached by chain id (OCI image-spec, config.md "Layer ChainID"),
 * and given only to images whose blob was seen to unpack to them (rootfs/<chain>/blob-<digest>),
 * stored unshifted and mounted idmapped under each container's user namespace. Threads (server
 * side): any; a layer that two jobs want is unpacked once. On disk: rootfs/<chain id
 * hex>/{fs,done}; a directory without `done` is swept at start. */
#pragma once
#include "base/str.h"
#include "helper/helper.h"

struct content;
struct rootfs;

struct rootfs_layer {
    char digest[136];  /* of the (compressed) blob, in content */
    char diff_id[136]; /* of the tar, checked while unpacking */
};

/* Server side. */
struct rootfs *rootfs_new(struct content *c, struct helper_client *h) MUST_USE;
void rootfs_free(struct rootfs *r);
DEFINE_SCOPED(struct rootfs, rootfs_free)
/* Blocks until every layer is there. `chains[i]` receives the 64 hex of layer i's chain id. A
 * hostile or broken layer is ERR_INVALID naming the entry. */
int rootfs_prepare(struct rootfs *r, const struct rootfs_layer *layers, size_t n,
                   char (*chains)[65], struct err *e) MUST_USE;

/* Helper side. The current directory is the state directory. */
struct rootfs_helper;
struct rootfs_helper *rootfs_helper_new(struct err *e) MUST_USE;
void rootfs_helper_free(struct rootfs_helper *r);
DEFINE_SCOPED(struct rootfs_helper, rootfs_helper_free)
extern const struct helper_operation
    rootfs_operations[]; /* ctx is filled in by main; zero row ends */
/* Mounts the overlay of `chains` (lowest first) on `target` with upper and work under `scratch`,
 * for the user namespace that maps 0..65535 to id_base. */
int rootfs_mount(struct rootfs_helper *r, const char (*chains)[65], size_t n, const char *scratch,
                 const char *target, uint32_t id_base, struct err *e) MUST_USE;
