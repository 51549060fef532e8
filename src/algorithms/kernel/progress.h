/* progress - what a running module says on standard output, or on standard error when a table goes
 * to standard output (docs/formats/progress.md).
 *
 *   {"t":"progress","module":"mlp","step":5,"steps":7,"done":0.42,"text":"epoch 21 of 50",...}
 *   mlp: 64 -> 64 -> 10, 1438 rows, 50 epochs: loss 0.0021
 *
 * Lines that begin with {"t": are for programs, at most five a second; all others are for people.
 * On a terminal progress is a bar in its last line. Main thread only. */
#pragma once
#include "base/buf.h"

enum progress_mode { PROGRESS_AUTO, PROGRESS_JSON, PROGRESS_TEXT, PROGRESS_NONE };

struct progress {
    enum progress_mode mode;
    int fd;
    bool is_auto, on_terminal;
    bool is_drawn; /* a bar stands in the last line */
    const char *module;
    unsigned step, steps; /* 1-based */
    int64_t last_ms;
    bool outputs; /* say each file that was written, and write its preview beside it */
};

struct metric {
    const char *name;
    double value;
};

void progress_init(struct progress *p, enum progress_mode mode);
/* Standard output is taken. */
void progress_move_to_stderr(struct progress *p);
/* The work has ended: no bar stays. */
void progress_end(struct progress *p);
void progress_begin(struct progress *p, const char *module, unsigned step, unsigned steps);
/* done: 0 .. 1. Left out when the last one was less than 200 ms ago. */
void progress_update(struct progress *p, double done, const struct metric *metrics, size_t n,
                     const char *fmt, ...) PRINTF_LIKE(5, 6);
/* The measured result, always said: {"t":"progress",...,"done":1,"metric":{...}}. */
void progress_result(struct progress *p, const struct metric *metrics, size_t n);
/* A file that is complete: {"t":"output",...}. */
struct progress_file {
    const char *port, *type, *path, *sha256;
    bool is_table;
    size_t rows, columns;
    uint64_t bytes;
};
void progress_output(struct progress *p, const struct progress_file *f);
/* Of a plan: what comes in between is the step's. `error`: NULL when it ended well. */
void progress_step_begins(struct progress *p, const char *name);
void progress_step_ends(struct progress *p, const char *name, int exit_code, const char *error);
/* What the user should look at, though the step goes on: {"t":"warning",...}, and the same for
 * people. */
void progress_warn(struct progress *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Names of columns and files come from outside: no line feed of theirs begins a line that a program
 * would take for ours, and nothing in them steers a terminal. In place. */
void progress_plain(char *text);
/* One line for people: "<module>: <text>". */
void progress_say(struct progress *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
