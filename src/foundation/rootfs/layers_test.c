#include "rootfs/fixture.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>

/* --- hostile layers: each is unpacked by the real helper, and the canary looked at afterwards ---
 */

static void names_with_dotdot_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct tar_entry out[] = {{.name = "../canary/evil", .data = "x"}};
    static const struct tar_entry deep[] = {{.name = "a/b/../../../canary/evil", .data = "x"}};
    static const struct tar_entry dir[] = {{.name = "..", .type = '5'}};

    NEEDS_ROOT(f);
    REFUSE(f, out, ERR_INVALID, "layer entry \"../canary/evil\": '..' in a name");
    REFUSE(f, deep, ERR_INVALID, "'..'");
    REFUSE(f, dir, ERR_INVALID, "'..'");
}

static void absolute_names_are_refused(void **state)
{
    struct fixture *f = *state;
    char name[80];
    struct tar_entry out[] = {{.name = name, .data = "x"}};

    NEEDS_ROOT(f);
    (void)snprintf(name, sizeof(name), "%s/canary/evil", f->dir);
    REFUSE(f, out, ERR_INVALID, "absolute path");
}

/* A link that leads out, then a file through it: the name is looked up inside the layer. */
static void files_through_links_never_leave_the_layer(void **state)
{
    struct fixture *f = *state;
    char target[80], chain[65];
    struct stat st;
    struct tar_entry absolute[] = {{.name = "x", .type = '2', .link = target},
                                   {.name = "x/evil", .data = "evil"}};
    static const struct tar_entry relative[] = {
        {.name = "x", .type = '2', .link = "../../../canary"}, {.name = "x/evil", .data = "evil"}};
    static const struct tar_entry overwrite[] = {
        {.name = "x", .type = '2', .link = "../../../canary/file"},
        {.name = "x", .data = "a file now"}};
    static const struct tar_entry to_root[] = {{.name = "x", .type = '2', .link = "../../../.."},
                                               {.name = "x/inside", .data = "inside"}};
    static const struct tar_entry chain_of_links[] = {{.name = "a", .type = '2', .link = "b"},
                                                      {.name = "b", .type = '2', .link = "a"},
                                                      {.name = "a/evil", .data = "evil"}};

    NEEDS_ROOT(f);
    (void)snprintf(target, sizeof(target), "%s/canary", f->dir);
    REFUSE(f, absolute, ERR_INVALID, "the parent \"x\" is not a directory in this layer");
    REFUSE(f, relative, ERR_INVALID, "the parent \"x\" is not a directory in this layer");
    REFUSE(f, chain_of_links, ERR_INVALID, "the parent \"a\" is not a directory");
    UNPACK(f, overwrite, chain);
    layer_text(chain, "x", "a file now");
    UNPACK(f, to_root, chain);
    layer_text(chain, "inside", "inside");
    assert_true(layer_stat(chain, "x", &st) && S_ISLNK(st.st_mode));
}

static void whiteouts_and_links_through_links_never_leave_the_layer(void **state)
{
    struct fixture *f = *state;
    char target[80];
    struct tar_entry whiteout[] = {{.name = "x", .type = '2', .link = target},
                                   {.name = "x/.wh.file"}};
    struct tar_entry opaque[] = {{.name = "x", .type = '2', .link = target},
                                 {.name = "x/.wh..wh..opq"}};
    struct tar_entry hard[] = {{.name = "x", .type = '2', .link = target},
                               {.name = "y", .type = '1', .link = "x/file"}};
    struct tar_entry dir[] = {{.name = "x", .type = '2', .link = target},
                              {.name = "x", .type = '5', .mode = 0777}};
    struct stat st;
    char chain[65];

    NEEDS_ROOT(f);
    (void)snprintf(target, sizeof(target), "%s/canary", f->dir);
    REFUSE(f, whiteout, ERR_INVALID, "the parent \"x\"");
    REFUSE(f, opaque, ERR_INVALID, "the parent \"x\"");
    REFUSE(f, hard, ERR_INVALID, "not in this layer");
    UNPACK(f, dir, chain); /* a directory takes the link's place */
    assert_true(layer_stat(chain, "x", &st) && S_ISDIR(st.st_mode));
}

static void hard_links_to_the_outside_are_refused(void **state)
{
    struct fixture *f = *state;
    char target[80];
    struct tar_entry absolute[] = {{.name = "x", .type = '1', .link = target}};
    static const struct tar_entry relative[] = {
        {.name = "x", .type = '1', .link = "../../canary/file"}};
    static const struct tar_entry missing[] = {{.name = "x", .type = '1', .link = "nowhere"}};
    static const struct tar_entry directory[] = {{.name = "d", .type = '5'},
                                                 {.name = "x", .type = '1', .link = "d"}};

    NEEDS_ROOT(f);
    (void)snprintf(target, sizeof(target), "%s/canary/file", f->dir);
    REFUSE(f, absolute, ERR_INVALID, "not in this layer");
    REFUSE(f, relative, ERR_INVALID, "'..'");
    REFUSE(f, missing, ERR_INVALID, "not a file of this layer");
    REFUSE(f, directory, ERR_INVALID, "not a file of this layer");
}

/* The link's target is replaced by something else after it was taken. */
static void a_hard_link_to_a_link_does_not_follow_it(void **state)
{
    struct fixture *f = *state;
    char target[80], chain[65];
    struct stat st;
    struct tar_entry e[] = {{.name = "x", .type = '2', .link = target},
                            {.name = "y", .type = '1', .link = "x"},
                            {.name = "y", .data = "new"}};

    NEEDS_ROOT(f);
    (void)snprintf(target, sizeof(target), "%s/canary/file", f->dir);
    UNPACK(f, e, chain);
    assert_true(layer_stat(chain, "x", &st) && S_ISLNK(st.st_mode));
    layer_text(chain, "y", "new");
}

static void device_nodes_are_never_made(void **state)
{
    struct fixture *f = *state;
    char chain[65];
    struct stat st;
    static const struct tar_entry character[] = {{.name = "bin/null", .type = '3'}};
    static const struct tar_entry block[] = {{.name = "disk", .type = '4'}};
    static const struct tar_entry in_dev[] = {{.name = "dev/", .type = '5'},
                                              {.name = "dev/null", .type = '3'},
                                              {.name = "./dev/sda", .type = '4'},
                                              {.name = "dev/file", .data = "file"}};

    NEEDS_ROOT(f);
    REFUSE(f, character, ERR_INVALID, "device node outside dev/");
    REFUSE(f, block, ERR_INVALID, "device node outside dev/");
    UNPACK(f, in_dev, chain);
    assert_false(layer_stat(chain, "dev/null", &st));
    assert_false(layer_stat(chain, "dev/sda", &st));
    layer_text(chain, "dev/file", "file");
}

static void owners_past_the_mapped_range_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct tar_entry user[] = {{.name = "x", .data = "x", .uid = 65536}};
    static const struct tar_entry group[] = {{.name = "x", .data = "x", .gid = 1000620}};
    static const struct tar_entry last[] = {{.name = "x", .data = "x", .uid = 65535, .gid = 65535}};
    char chain[65];
    struct stat st;

    NEEDS_ROOT(f);
    REFUSE(f, user, ERR_INVALID, "owner 65536:0; images may use ids 0 to 65535");
    REFUSE(f, group, ERR_INVALID, "owner 0:1000620");
    UNPACK(f, last, chain);
    assert_true(layer_stat(chain, "x", &st));
    assert_int_equal(st.st_uid, 65535);
    assert_int_equal(st.st_gid, 65535);
}

static void very_deep_paths_are_refused(void **state)
{
    struct fixture *f = *state;
    char *record = xcalloc(1, 10100), chain[65];
    struct tar_entry e[] = {{.name = "x", .data = "x", .pax = record}};

    memcpy(record, "path=", 5);
    for (size_t i = 0; i < 5000; i++) {
        memcpy(record + 5 + 2 * i, "d/", 2);
    }
    if (f->helper > 0) {
        REFUSE(f, e, ERR_LIMIT, "name is longer than 4095 bytes");
        record[5 + 2 * 2000 - 1] = '\0'; /* 2,000 directories are fine, and can be removed again */
        UNPACK(f, e, chain);
    }
    free(record);
}

static void sparse_files_stay_sparse_up_to_the_limit(void **state)
{
    struct fixture *f = *state;
    char chain[65];
    struct stat st;
    /* GNU sparse 1.0: the map is in front of the data: one piece, at 1 GiB - 4, of 4 bytes. */
    static const char map[512] = "1\n1073741820\n4\n";
    struct buf tar = BUF_MAX(TAR_MAX);
    struct err e = {0};

    if (f->helper > 0) {
        char data[1024] = {0};

        memcpy(data, map, sizeof(map));
        memcpy(data + 512, "tail", 4);
        struct tar_entry entry = {.name = "GNUSparseFile.0/sparse",
                                  .data = data,
                                  .size = 516,
                                  .pax = "GNU.sparse.major=1\n26 GNU.sparse.realsize=1073741824",
                                  .pax2 = "GNU.sparse.minor=0"};
        struct buf x = BUF_MAX(4096);

        pax_record(&x, "GNU.sparse.major=1");
        pax_record(&x, "GNU.sparse.minor=0");
        pax_record(&x, "GNU.sparse.name=sparse");
        pax_record(&x, "GNU.sparse.realsize=1073741824");
        tar_header(&tar, &(struct tar_entry){.name = "pax", .type = 'x'}, x.len);
        tar_body(&tar, buf_str(&x));
        entry.pax = NULL;
        tar_add(&tar, &entry);
        tar_end(&tar);
        if (unpack_blob(f, buf_str(&tar), buf_str(&tar), chain, &e) < 0) {
            fail_msg("%s", e.msg);
        }
        assert_true(layer_stat(chain, "sparse", &st));
        assert_int_equal(st.st_size, 1073741824);
        assert_true(st.st_blocks < 1024);

        buf_clear(&tar);
        buf_clear(&x);
        pax_record(&x, "GNU.sparse.major=1");
        pax_record(&x, "GNU.sparse.minor=0");
        pax_record(&x, "GNU.sparse.name=sparse");
        pax_record(&x, "GNU.sparse.realsize=1073741824000");
        tar_header(&tar, &(struct tar_entry){.name = "pax", .type = 'x'}, x.len);
        tar_body(&tar, buf_str(&x));
        tar_add(&tar, &entry);
        tar_end(&tar);
        assert_int_equal(unpack_blob(f, buf_str(&tar), buf_str(&tar), chain, &e), -1);
        assert_int_equal(e.kind, ERR_LIMIT);
        buf_done(&x);
    }
    buf_done(&tar);
}

static void a_wrong_diff_id_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    static const struct tar_entry entries[] = {{.name = "x", .data = "x"}};
    struct buf tar = tar_of(entries, 1);
    char chain[65];
    struct err e = {0};

    if (f->helper > 0) {
        assert_int_equal(unpack_blob(f, STR("other"), buf_str(&tar), chain, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
        assert_non_null(strstr(e.msg, "but the image's configuration says sha256:d9298a10d1b0"));
    }
    buf_done(&tar);
}

static void bytes_after_the_end_count_for_the_diff_id(void **state)
{
    struct fixture *f = *state;
    static const struct tar_entry entries[] = {{.name = "x", .data = "x"}};
    struct buf tar = tar_of(entries, 1), gz;
    char chain[65], zeros[9000] = {0};
    struct err e = {0};

    (void)buf_add(&tar, str_n(zeros, sizeof(zeros)));
    gz = gzip_of(buf_str(&tar));
    if (f->helper > 0) {
        assert_int_equal(unpack_blob(f, buf_str(&tar), buf_str(&gz), chain, &e), 0);
        layer_text(chain, "x", "x");
    }
    buf_done(&tar);
    buf_done(&gz);
}

static void cut_off_layers_leave_nothing(void **state)
{
    struct fixture *f = *state;
    static const struct tar_entry entries[] = {{.name = "x", .data = "some text"},
                                               {.name = "y", .data = "more text"}};
    struct buf tar = tar_of(entries, 2), gz = gzip_of(buf_str(&tar));
    char chain[65];
    struct err e = {0};

    if (f->helper > 0) {
        assert_int_equal(
            unpack_blob(f, buf_str(&tar), str_first(buf_str(&gz), gz.len - 9), chain, &e), -1);
        assert_string_equal(e.msg, "the gzip data is cut off");
        assert_int_equal(unpack_blob(f, buf_str(&tar), str_first(buf_str(&tar), 514), chain, &e),
                         -1);
        assert_int_equal(e.kind, ERR_INVALID);
        assert_int_equal(unpack_blob(f, buf_str(&tar), STR("no tar at all"), chain, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
    }
    buf_done(&tar);
    buf_done(&gz);
}

static void a_gzip_bomb_after_the_end_is_refused(void **state)
{
    struct fixture *f = *state;
    static const struct tar_entry entries[] = {{.name = "x", .data = "x"}};
    struct buf all = BUF_MAX(TAR_MAX), tar = tar_of(entries, 1), piece, bomb = BUF_MAX(TAR_MAX);
    char chain[65];
    struct err e = {0};

    if (f->helper > 0) {
        memset(buf_reserve(&all, 32U << 20), 0, 32U << 20);
        all.len = 32U << 20;
        piece = gzip_of(buf_str(&tar));
        (void)buf_add(&bomb, buf_str(&piece));
        buf_done(&piece);
        piece = gzip_of(buf_str(&all));
        for (int i = 0; i < 3; i++) { /* 96 MiB in 96 KiB */
            (void)buf_add(&bomb, buf_str(&piece));
        }
        assert_int_equal(unpack_blob(f, buf_str(&tar), buf_str(&bomb), chain, &e), -1);
        assert_int_equal(e.kind, ERR_LIMIT);
        assert_non_null(strstr(e.msg, "after its end"));
        buf_done(&piece);
    }
    buf_done(&all);
    buf_done(&tar);
    buf_done(&bomb);
}

/* --- honest layers --- */

static void everything_an_image_holds_arrives(void **state)
{
    struct fixture *f = *state;
    char chain[65], long_name[300], value[8] = {0}, path[4200];
    struct stat st, other;
    static char pax_name[320];
    struct tar_entry e[] = {
        {.name = "./", .type = '5', .mode = 0711, .mtime = 5},
        {.name = "bin/", .type = '5', .mode = 0555, .mtime = 1000},
        {.name = "bin/su", .data = "setuid", .mode = 04755, .mtime = 2000},
        {.name = "bin/wall", .data = "setgid", .mode = 02755, .gid = 5},
        {.name = "bin/hard", .type = '1', .link = "bin/su"},
        {.name = "bin/hard2", .type = '1', .link = "/bin/su"},
        {.name = "bin/hard", .type = '1', .link = "bin/su"},
        {.name = "lib", .type = '2', .link = "usr/lib", .uid = 7},
        {.name = "usr/lib/", .type = '5'},
        {.name = "lib/through", .data = "through a link"},
        {.name = "tmp/", .type = '5', .mode = 01777, .uid = 1000, .gid = 1000},
        {.name = "tmp/pipe", .type = '6', .mode = 0640},
        {.name = "x", .data = "long", .pax = pax_name},
        {.name = "y",
         .data = "attr",
         .pax = "SCHILY.xattr.user.note=hello",
         .pax2 = "SCHILY.xattr.trusted.overlay.opaque=y"},
        {.name = "z", .data = "utf-8", .pax = "path=gr\xc3\xbc\xc3\x9f/\xe6\xbc\xa2"},
        {.name = "empty"},
    };

    NEEDS_ROOT(f);
    memset(long_name, 'n', 250);
    long_name[250] = '\0';
    (void)snprintf(pax_name, sizeof(pax_name), "path=%s", long_name);
    UNPACK(f, e, chain);
    assert_true(layer_stat(chain, ".", &st) && st.st_mode == (S_IFDIR | 0711));
    assert_int_equal(st.st_mtime, 5);
    assert_true(layer_stat(chain, "bin", &st) && st.st_mode == (S_IFDIR | 0555));
    assert_int_equal(st.st_mtime, 1000); /* though files were made in it later */
    assert_true(layer_stat(chain, "bin/su", &st) && st.st_mode == (S_IFREG | 04755));
    assert_int_equal(st.st_mtime, 2000);
    assert_int_equal(st.st_nlink, 3);
    assert_true(layer_stat(chain, "bin/hard2", &other) && other.st_ino == st.st_ino);
    assert_true(layer_stat(chain, "bin/wall", &st) && st.st_mode == (S_IFREG | 02755));
    assert_int_equal(st.st_gid, 5);
    assert_true(layer_stat(chain, "lib", &st) && S_ISLNK(st.st_mode) && st.st_uid == 7);
    layer_text(chain, "usr/lib/through", "through a link");
    assert_true(layer_stat(chain, "tmp", &st) && st.st_mode == (S_IFDIR | 01777));
    assert_int_equal(st.st_uid, 1000);
    assert_true(layer_stat(chain, "tmp/pipe", &st) && st.st_mode == (S_IFIFO | 0640));
    layer_text(chain, long_name, "long");
    layer_text(chain, "gr\xc3\xbc\xc3\x9f/\xe6\xbc\xa2", "utf-8");
    layer_text(chain, "empty", "");
    (void)snprintf(path, sizeof(path), "rootfs/%s/fs/y", chain);
    assert_int_equal(getxattr(path, "user.note", value, sizeof(value)), 5);
    assert_string_equal(value, "hello");
    assert_int_equal(getxattr(path, ROOTFS_OPAQUE_XATTR, value, sizeof(value)), -1);
    (void)snprintf(path, sizeof(path), "rootfs/%s", chain);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode, S_IFDIR | 0700); /* setuid files are nobody else's to run */
}

static void file_capabilities_are_kept(void **state)
{
    struct fixture *f = *state;
    char chain[65], path[160], value[64];
    struct buf tar = BUF_MAX(TAR_MAX), x = BUF_MAX(1024);
    struct err e = {0};

    if (f->helper > 0) {
        static const char record[] = "SCHILY.xattr.security.capability="
                                     "\x01\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0"; /* net_raw */
        size_t len = sizeof(record) - 1;

        (void)buf_printf(&x, "%zu ", len + 4);
        (void)buf_add(&x, str_n(record, len));
        (void)buf_add_c(&x, "\n");
        tar_header(&tar, &(struct tar_entry){.name = "pax", .type = 'x'}, x.len);
        tar_body(&tar, buf_str(&x));
        tar_add(&tar, &(struct tar_entry){.name = "ping", .data = "#!", .mode = 0755});
        tar_end(&tar);
        if (unpack_blob(f, buf_str(&tar), buf_str(&tar), chain, &e) < 0) {
            fail_msg("%s", e.msg);
        }
        (void)snprintf(path, sizeof(path), "rootfs/%s/fs/ping", chain);
        assert_true(getxattr(path, "security.capability", value, sizeof(value)) >= 20);
        assert_int_equal(value[5], 0x20);
    }
    buf_done(&tar);
    buf_done(&x);
}

static void later_entries_replace_earlier_ones(void **state)
{
    struct fixture *f = *state;
    char chain[65];
    struct stat st;
    static const struct tar_entry e[] = {
        {.name = "a/b/c", .data = "deep"},
        {.name = "a", .type = '2', .link = "/etc"}, /* a full directory becomes a link */
        {.name = "d", .data = "file"},
        {.name = "d/", .type = '5', .mode = 0700},
        {.name = "d/x", .data = "in d"},
        {.name = "p", .type = '6'},
        {.name = "p", .data = "was a pipe"},
        {.name = "q/r", .data = "r"},
        {.name = "q", .type = '6'},
        {.name = "twice", .data = "first, longer"},
        {.name = "twice", .data = "second"},
        {.name = "h", .data = "h"},
        {.name = "i", .type = '1', .link = "h"},
        {.name = "h", .data = "h again"}, /* the other name keeps the old bytes */
    };

    NEEDS_ROOT(f);
    UNPACK(f, e, chain);
    assert_true(layer_stat(chain, "a", &st) && S_ISLNK(st.st_mode));
    assert_true(layer_stat(chain, "d", &st) && st.st_mode == (S_IFDIR | 0700));
    layer_text(chain, "d/x", "in d");
    layer_text(chain, "p", "was a pipe");
    assert_true(layer_stat(chain, "q", &st) && S_ISFIFO(st.st_mode));
    layer_text(chain, "twice", "second");
    layer_text(chain, "h", "h again");
    layer_text(chain, "i", "h");
}

static void empty_layers_are_layers(void **state)
{
    struct fixture *f = *state;
    char chain[65], zeros[1024] = {0};
    struct err e = {0};

    NEEDS_ROOT(f);
    assert_int_equal(unpack_blob(f, STR_EMPTY, STR_EMPTY, chain, &e), 0);
    assert_int_equal(
        unpack_blob(f, str_n(zeros, sizeof(zeros)), str_n(zeros, sizeof(zeros)), chain, &e), 0);
    assert_string_equal(chain, "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
}

static void a_full_disk_is_told_and_unpacking_goes_on_when_there_is_space(void **state)
{
    struct fixture *f = *state;
    struct buf text = BUF_MAX(TAR_MAX), tar;
    char chain[65];
    struct err e = {0};

    NEEDS_ROOT(f);
    if (mount(NULL, f->dir, NULL, MS_REMOUNT, "size=6m") < 0) {
        skip(); /* on a disk that is not ours to fill */
    }
    memset(buf_reserve(&text, 4U << 20), 'x', 4U << 20);
    text.len = 4U << 20;
    const struct tar_entry entries[] = {{.name = "big", .data = text.p, .size = text.len}};
    tar = tar_of(entries, 1);
    assert_int_equal(unpack_blob(f, buf_str(&tar), buf_str(&tar), chain, &e), -1);
    assert_int_equal(e.kind, ERR_NO_SPACE);
    assert_non_null(strstr(e.msg, "layer entry \"big\": the disk is nearly full"));
    assert_int_equal(count_names("rootfs"), 0);
    assert_int_equal(mount(NULL, f->dir, NULL, MS_REMOUNT, "size=64m"), 0);
    assert_int_equal(unpack_blob(f, buf_str(&tar), buf_str(&tar), chain, &e), 0);
    buf_done(&text);
    buf_done(&tar);
}

/* Directories take no bytes of a tmpfs, and of no disk for long: its inodes end first. */
static void a_layer_of_very_many_directories_leaves_room_for_others(void **state)
{
    struct fixture *f = *state;
    struct buf tar = BUF_MAX(TAR_MAX);
    char chain[65];
    struct err e = {0};

    NEEDS_ROOT(f);
    if (mount(NULL, f->dir, NULL, MS_REMOUNT, "nr_inodes=400") < 0) {
        skip(); /* on a disk that is not ours to fill */
    }
    for (int i = 0; i < 1000; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "d%d", i);
        tar_add(&tar, &(struct tar_entry){.name = name, .type = '5'});
    }
    tar_end(&tar);
    assert_int_equal(unpack_blob(f, buf_str(&tar), buf_str(&tar), chain, &e), -1);
    assert_int_equal(e.kind, ERR_NO_SPACE);
    assert_non_null(strstr(e.msg, "but no room for more files"));
    assert_int_equal(mount(NULL, f->dir, NULL, MS_REMOUNT, "nr_inodes=4000"), 0);
    assert_int_equal(unpack_blob(f, buf_str(&tar), buf_str(&tar), chain, &e), 0);
    buf_done(&tar);
}

/* ext4 refuses it; a tmpfs takes it. */
static void an_attribute_that_the_disk_does_not_keep_is_the_images_fault(void **state)
{
    struct fixture *f = *state;
    SCOPED(freep) char *record = xcalloc(1, 20100);
    char chain[65];
    struct err e = {0};

    NEEDS_ROOT(f);
    memset(record, 'x', 20099);
    memcpy(record, "SCHILY.xattr.user.big=", 22);
    const struct tar_entry entries[] = {{.name = "large", .data = "x", .pax = record}};
    if (unpack_entries(f, entries, 1, chain, &e) < 0) {
        assert_int_equal(e.kind, ERR_LIMIT);
        assert_non_null(
            strstr(e.msg, "layer entry \"large\": attribute \"user.big\" of 20077 bytes"));
    }
}

/* --- what the helper takes --- */

static void messages_with_strange_ids_or_descriptors_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *chain;
        enum { A_FILE, WRITABLE, NO_FD, DIRECTORY } fd;
    } rows[] = {{"../canary", A_FILE},
                {"", A_FILE},
                {"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde/", A_FILE},
                {"0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef", A_FILE},
                {"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", WRITABLE},
                {"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", NO_FD},
                {"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", DIRECTORY}};

    NEEDS_ROOT(f);
    put_file("blob", "", 0600);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b = BUF_MAX(512);
        struct err e = {0};
        int fd = rows[i].fd == NO_FD
                     ? -1
                     : open(rows[i].fd == DIRECTORY ? "." : "blob",
                            (rows[i].fd == WRITABLE ? O_RDWR : O_RDONLY) | O_CLOEXEC);

        for (int field = 0; field < 3; field++) {
            wire_put_str(&b, str_of(rows[i].chain));
        }
        assert_int_equal(
            helper_call(f->client, HELPER_ROOTFS_UNPACK, buf_str(&b), fd, NULL, NULL, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
        closep(&fd);
        buf_done(&b);
    }
    check_canary();
}

static void a_removed_layer_is_gone_and_can_come_back(void **state)
{
    struct fixture *f = *state;
    static const struct tar_entry e[] = {{.name = "x/y", .data = "x"}};
    struct buf b = BUF_MAX(512);
    char chain[65];
    struct stat st;
    struct err err = {0};

    if (f->helper > 0) {
        UNPACK(f, e, chain);
        wire_put_str(&b, str_of(chain));
        assert_int_equal(
            helper_call(f->client, HELPER_ROOTFS_REMOVE, buf_str(&b), -1, NULL, NULL, &err), 0);
        assert_false(layer_stat(chain, ".", &st));
        assert_int_equal(
            helper_call(f->client, HELPER_ROOTFS_REMOVE, buf_str(&b), -1, NULL, NULL, &err), 0);
        UNPACK(f, e, chain);
        layer_text(chain, "x/y", "x");
    }
    buf_done(&b);
}

/* --- the confinement itself --- */

static void try_socket(void)
{
    (void)socket(AF_INET, SOCK_STREAM, 0);
}

static void try_exec(void)
{
    (void)execl("/bin/true", "true", NULL);
}

static void try_device(void)
{
    (void)mknod("node", S_IFCHR | 0600, makedev(1, 3));
}

static void try_mount(void)
{
    (void)mount("x", "/", "tmpfs", 0, NULL);
}

static void try_fork(void)
{
    (void)fork();
}

static void a_captured_unpacker_dies_of_forbidden_calls(void **state)
{
    static void (*const tries[])(void) = {try_socket, try_exec, try_device, try_mount, try_fork};
    struct fixture *f = *state;
    struct err e = {0};
    int userns;

    NEEDS_ROOT(f);
    userns = idmap_userns(ROOTFS_UNPACK_ID_BASE, &e);
    assert_true(userns >= 0);
    for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
        int status = 0;
        pid_t pid = fork();

        if (pid == 0) {
            if (confine_self(userns, &unpack_limits_default, &e) < 0 || confine_calls(&e) < 0) {
                _exit(2);
            }
            tries[i]();
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
    }
    (void)close(userns);
}

static void the_unpacker_has_no_power_over_the_machines_files(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    int userns, status = 0;
    pid_t pid;

    NEEDS_ROOT(f);
    put_file("canary/file", "alive", 0600); /* root's alone */
    userns = idmap_userns(ROOTFS_UNPACK_ID_BASE, &e);
    assert_true(userns >= 0);
    pid = fork();
    if (pid == 0) {
        _exit(confine_self(userns, &unpack_limits_default, &e) < 0    ? 2
              : open("canary/file", O_RDONLY) >= 0 || errno != EACCES ? 3
              : fchmodat(AT_FDCWD, "canary/file", 0777, 0) == 0       ? 4
              : setuid(0) < 0 && seteuid(1) < 0                       ? 5
                                                                      : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    (void)close(userns);
    put_file("canary/file", "alive", 0644);
}

#define LAYER_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_start, fixture_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAYER_TEST(names_with_dotdot_are_refused),
        LAYER_TEST(absolute_names_are_refused),
        LAYER_TEST(files_through_links_never_leave_the_layer),
        LAYER_TEST(whiteouts_and_links_through_links_never_leave_the_layer),
        LAYER_TEST(hard_links_to_the_outside_are_refused),
        LAYER_TEST(a_hard_link_to_a_link_does_not_follow_it),
        LAYER_TEST(device_nodes_are_never_made),
        LAYER_TEST(owners_past_the_mapped_range_are_refused),
        LAYER_TEST(very_deep_paths_are_refused),
        LAYER_TEST(sparse_files_stay_sparse_up_to_the_limit),
        LAYER_TEST(a_wrong_diff_id_leaves_nothing),
        LAYER_TEST(bytes_after_the_end_count_for_the_diff_id),
        LAYER_TEST(cut_off_layers_leave_nothing),
        LAYER_TEST(a_gzip_bomb_after_the_end_is_refused),
        LAYER_TEST(everything_an_image_holds_arrives),
        LAYER_TEST(file_capabilities_are_kept),
        LAYER_TEST(later_entries_replace_earlier_ones),
        LAYER_TEST(empty_layers_are_layers),
        LAYER_TEST(a_full_disk_is_told_and_unpacking_goes_on_when_there_is_space),
        LAYER_TEST(a_layer_of_very_many_directories_leaves_room_for_others),
        LAYER_TEST(an_attribute_that_the_disk_does_not_keep_is_the_images_fault),
        LAYER_TEST(messages_with_strange_ids_or_descriptors_are_refused),
        LAYER_TEST(a_removed_layer_is_gone_and_can_come_back),
        LAYER_TEST(a_captured_unpacker_dies_of_forbidden_calls),
        LAYER_TEST(the_unpacker_has_no_power_over_the_machines_files),
    };

    return cmocka_run_group_tests_name("layers", tests, NULL, NULL);
}
