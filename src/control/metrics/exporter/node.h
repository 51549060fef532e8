/* node - reading the machine: files of /proc and /sys, kept open between two pages. One thread. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "exporter/exporter.h"

#include <sys/types.h>

struct label_regex;

/* What collectors of one thread share. */
struct node {
    const struct exporter_options *o;
    int proc, sys, root; /* directories */
    struct map files;    /* "p:stat" -> kept descriptor */
    size_t n_files;
    struct map asking;  /* mounts that have not answered yet: filesystem.c */
    struct map taken;   /* names that a regular expression was asked about */
    struct buf text;    /* of the file read last */
    struct arena arena; /* of the collector that runs */
    struct label_regex *mounts, *types, *disks, *interfaces, *netstat, *vmstat;
    struct arena regexes;
    /* Theirs from page to page. */
    struct cpu_times *cpu_seen; /* cpu.c */
    size_t n_cpus;
    struct containers *containers; /* container.c */
    struct nvml *nvml;             /* gpu.c */
};

int node_init(struct node *n, const struct exporter_options *o, struct err *e) MUST_USE;
/* Makes the regular expressions, for those whose collectors choose by them. */
int node_expressions(struct node *n, struct err *e) MUST_USE;
void node_done(struct node *n);

/* The whole of a file, valid until the next read. -1 with ERR_NOT_FOUND where there is none: this
 * machine has no such thing. */
enum node_tree { NODE_PROC, NODE_SYS, NODE_ROOT };
int node_read(struct node *n, enum node_tree tree, struct str *out, struct err *e, const char *fmt,
              ...) PRINTF_LIKE(5, 6) MUST_USE;
/* Its first line without blanks around, in the arena; p == NULL: there is none. */
struct str node_line(struct node *n, enum node_tree tree, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The same, "" where there is none. */
const char *node_word(struct node *n, enum node_tree tree, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* One number: what the first word of the file says. */
bool node_number(struct node *n, enum node_tree tree, double *out, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Names in a directory, sorted, without those that begin with a dot; in the arena. */
struct node_names {
    char **p;
    size_t len;
};
int node_list(struct node *n, enum node_tree tree, struct node_names *out, struct err *e,
              const char *fmt, ...) PRINTF_LIKE(5, 6) MUST_USE;
/* Only the directories in it. */
int node_dirs(struct node *n, enum node_tree tree, struct node_names *out, struct err *e,
              const char *fmt, ...) PRINTF_LIKE(5, 6) MUST_USE;
/* A file that others wrote, which is not kept open: a pipe or a device in its place is refused. */
int node_read_foreign(struct node *n, enum node_tree tree, const char *path, struct buf *out,
                      struct err *e) MUST_USE;
/* The whole of an open file, as node_read() does it. */
int node_read_fd(struct node *n, int fd, const char *name, struct str *out, struct err *e) MUST_USE;
/* The last part of what a link points to, in the arena; NULL when it is none. */
const char *node_link(struct node *n, enum node_tree tree, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Whether the expression takes the name, asked once for each name. `kind`: a letter for each use.
 */
bool node_takes(struct node *n, char kind, struct label_regex *r, struct str name);

/* What collectors keep: container.c, gpu.c, filesystem.c. */
void containers_free(struct containers *c);
void nvml_free(struct nvml *l);
void filesystem_forget(struct node *n);

/* --- text --- */
/* The next line, or word between blanks; empty at the end. */
struct str text_line(struct str *rest);
struct str text_word(struct str *rest);
/* Decimal, with sign, point, exponent. */
bool text_number(struct str s, double *out);
double text_or(struct str s, double otherwise);
/* Of lines "key value"; NAN: there is none. */
double text_keyed(struct str text, const char *key);
bool text_hex(struct str s, uint64_t *out);
