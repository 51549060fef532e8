#include "base/fs.h"
#include "base/limits.h"
#include "tsdb/prom_block.h"
#include "tsdb/tsdb_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INDEX_MAX (16 * GIB)

struct importing {
    int dir, chunks;
    struct prom_index index;
    struct prom_tombstone *gone;
    size_t n_gone;
    int file; /* of chunks, open */
    uint32_t file_number;
    struct buf piece;
    struct tsdb_samples samples;
    struct block_writer *to;
    struct tsdb_imported *told;
};

static int open_chunk_file(struct importing *i, uint32_t number, struct err *e)
{
    char name[16];

    if (i->file >= 0 && i->file_number == number) {
        return 0;
    }
    closep(&i->file);
    (void)snprintf(name, sizeof(name), "%06u", number);
    i->file = openat(i->chunks, name, O_RDONLY | O_CLOEXEC);
    i->file_number = number;
    return i->file < 0 ? err_sys(e, "open chunks/%s", name) : 0;
}

/* The data of the chunk, in i->piece. */
static int read_chunk(struct importing *i, uint64_t ref, int *encoding, struct str *data,
                      struct err *e)
{
    size_t want = 1024;
    int whole = 0;

    if (ref >> 32 >= UINT32_MAX || open_chunk_file(i, (uint32_t)(ref >> 32) + 1, e) < 0) {
        return -1;
    }
    while (whole == 0) {
        char *to;
        ssize_t n;

        buf_clear(&i->piece);
        to = buf_reserve(&i->piece, want);
        n = to == NULL ? 0 : pread(i->file, to, want, (off_t)(ref & UINT32_MAX));
        if (n < 0) {
            return err_sys(e, "read chunks/%06u", i->file_number);
        }
        i->piece.len = (size_t)n;
        whole = prom_chunk_open(buf_str(&i->piece), encoding, data, &want, e);
        if (whole == 0 && want <= (size_t)n) {
            break;
        }
        if (whole == 0 && (size_t)n < want && i->piece.cap > want && n < 10) {
            return err_set(e, ERR_INVALID, "chunks/%06u is cut short", i->file_number);
        }
    }
    return whole < 0 ? -1 : 0;
}

static void drop_gone(struct importing *i, uint64_t ref, size_t from)
{
    struct tsdb_samples *s = &i->samples;
    size_t kept = from;

    for (size_t k = from; k < s->len; k++) {
        bool gone = false;

        for (size_t g = 0; g < i->n_gone && !gone; g++) {
            gone = i->gone[g].ref == ref && s->ts_ms[k] >= i->gone[g].from &&
                   s->ts_ms[k] <= i->gone[g].to;
        }
        if (!gone && s->ts_ms[k] > TSDB_TIME_MIN && s->ts_ms[k] < TSDB_TIME_MAX) {
            s->ts_ms[kept] = s->ts_ms[k];
            s->v[kept++] = s->v[k];
        }
    }
    s->len = kept;
}

static int add_chunk(struct importing *i, const struct prom_series *series, uint64_t ref,
                     struct err *e)
{
    struct tsdb_samples *s = &i->samples;
    size_t n, from = s->len;
    struct str data;
    int encoding;

    if (read_chunk(i, ref, &encoding, &data, e) < 0) {
        return -1;
    }
    if (encoding != PROM_XOR) {
        i->told->histograms++;
        return 0;
    }
    samples_reserve(s, PROM_CHUNK_SAMPLES);
    if (prom_xor_decode(data, s->ts_ms + from, s->v + from, &n, e) < 0) {
        return -1;
    }
    s->len += n;
    drop_gone(i, series->ref, from);
    return 0;
}

static int import_series(struct importing *i, struct prom_series *series, struct err *e)
{
    i->samples.len = 0;
    for (size_t k = 0; k < series->n_chunks; k++) {
        if (add_chunk(i, series, series->chunks[k].ref, e) < 0) {
            return -1;
        }
    }
    samples_in_order(&i->samples);
    i->told->series += i->samples.len > 0;
    i->told->samples += i->samples.len;
    return labels_normalize(&series->labels, e) < 0
               ? -1
               : block_writer_add(i->to, series->labels, i->samples.ts_ms, i->samples.v,
                                  i->samples.len, e);
}

static int import_all(struct importing *i, struct err *e)
{
    struct arena a = {0};
    struct prom_series series;
    int rc;

    while ((rc = prom_index_next(&i->index, &a, &series, e)) > 0) {
        if (import_series(i, &series, e) < 0) {
            rc = -1;
            break;
        }
        arena_reset(&a);
    }
    arena_done(&a);
    return rc;
}

static int read_tombstones(struct importing *i, struct err *e)
{
    struct buf b = BUF_MAX(INDEX_MAX);
    int rc = 0;

    if (faccessat(i->dir, "tombstones", F_OK, 0) == 0) {
        rc = fs_read(i->dir, "tombstones", &b, e) < 0
                 ? -1
                 : prom_tombstones_read(buf_str(&b), &i->gone, &i->n_gone, e);
    }
    buf_done(&b);
    return rc;
}

static int publish(struct tsdb *db, struct importing *i, struct err *e)
{
    struct block_meta meta = {.floor = INT64_MIN};
    uint32_t number = block_writer_number(i->to);
    struct block *b;

    if (block_writer_samples(i->to) == 0) {
        return 0;
    }
    if (block_writer_finish(i->to, &meta, e) < 0) {
        return -1;
    }
    b = block_open(db->blocks_dir, number, e);
    if (b == NULL) {
        return -1;
    }
    blocks_add(db, b);
    i->told->blocks++;
    return 0;
}

static int import_block(struct tsdb *db, int at, const char *name, struct tsdb_imported *told,
                        struct err *e)
{
    struct importing i = {.dir = -1, .chunks = -1, .file = -1, .told = told};
    struct buf bytes = BUF_MAX(INDEX_MAX);
    int rc = -1;

    i.piece = BUF_MAX(32 * MIB);
    i.dir = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    i.chunks = i.dir < 0 ? -1 : openat(i.dir, "chunks", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (i.chunks < 0) {
        err_sys(e, "open %s/chunks", name);
    } else if (fs_read(i.dir, "index", &bytes, e) == 0 &&
               prom_index_open(&i.index, buf_str(&bytes), e) == 0 && read_tombstones(&i, e) == 0) {
        i.to = block_writer_new(db->blocks_dir, ++db->last_block, e);
        rc = i.to == NULL || import_all(&i, e) < 0 || publish(db, &i, e) < 0 ? -1 : 0;
    }
    block_writer_free(i.to);
    prom_index_done(&i.index);
    free(i.gone);
    tsdb_samples_done(&i.samples);
    buf_done(&i.piece);
    buf_done(&bytes);
    closep(&i.file);
    closep(&i.chunks);
    closep(&i.dir);
    return rc < 0 ? err_wrap(e, "%s", name) : 0;
}

/* The blocks in a data directory of Prometheus; one that is none (wal, chunks_head) is passed over.
 */
static int import_each(struct tsdb *db, int dir, struct tsdb_imported *told, struct err *e)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *ent;
    int rc = 0;

    if (d == NULL) {
        closep(&fd);
        return err_sys(e, "open the directory");
    }
    while (rc == 0 && (ent = readdir(d)) != NULL) {
        char index[300];

        (void)snprintf(index, sizeof(index), "%s/index", ent->d_name);
        if (ent->d_name[0] != '.' && faccessat(dir, index, F_OK, 0) == 0) {
            rc = import_block(db, dir, ent->d_name, told, e);
        }
    }
    (void)closedir(d);
    return rc;
}

int tsdb_import(struct tsdb *db, const char *path, struct tsdb_imported *out, struct err *e)
{
    SCOPED(closep) int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc;

    *out = (struct tsdb_imported){0};
    if (dir < 0) {
        return err_sys(e, "open %s", path);
    }
    work_begin(db);
    rc = faccessat(dir, "index", F_OK, 0) == 0 ? import_block(db, dir, ".", out, e)
                                               : import_each(db, dir, out, e);
    work_end(db);
    if (rc == 0 && out->blocks == 0 && out->histograms == 0) {
        rc = err_set(e, ERR_NOT_FOUND, "no block of Prometheus is there");
    }
    return rc < 0 ? err_wrap(e, "import of %s", path) : 0;
}
