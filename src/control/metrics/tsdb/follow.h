/* follow - who reads the log: how far he is (follow.c), what he reads (follow_read.c), and the
 * names of series that left the head (gone.c). */
#pragma once
#include "tsdb/tsdb_priv.h"

/* A name of wal/NNNN.gone. */
struct named {
    uint32_t id;
    struct labels labels;
};

struct tsdb_follower {
    struct tsdb *db;
    char *name;
    /* guarded by log */
    struct wal_place at;    /* everything before is taken */
    struct wal_place begun; /* up to here he may have some; segment 0: nothing is begun */
    uint64_t note, lost_bytes;
    /* his thread only */
    struct wal_place read_to;
    bool has_gone;      /* `gone` was read, all of it, */
    uint32_t forgotten; /* and how often series had left the head then */
    VEC(struct named) gone;
    struct arena texts;
};

/* --- gone.c --- */
/* Numbers that the log still speaks of are not given to others. */
int gone_load(struct tsdb *db, struct err *e) MUST_USE;
/* Those of segments before `first` go. */
void gone_trim(struct tsdb *db, uint32_t first);
/* He does not ask for names of the past any more. */
void gone_forget(struct tsdb_follower *f);
