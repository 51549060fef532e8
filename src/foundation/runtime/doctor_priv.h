/* doctor_priv - the checks of `strata doctor`: doctor.c has the table, those of programs, of the
 * state directory and of limits; doctor_host.c those of the kernel and of cgroups. */
#pragma once
#include "runtime/runtime_priv.h"

/* What a check found, and how to mend it. */
struct finding {
    enum doctor_level level;
    char found[300], mend[300];
};

/* What several checks look at. */
struct doctor {
    enum doctor_mode mode;
    struct cgroups cgroups;
};

void doctor_found(struct finding *f, enum doctor_level level, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
void doctor_mend(struct finding *f, const char *fmt, ...) PRINTF_LIKE(2, 3);

void doctor_check_kernel(struct doctor *d, struct finding *f);
void doctor_check_root(struct doctor *d, struct finding *f);
void doctor_check_seccomp(struct doctor *d, struct finding *f);
void doctor_check_pidfd(struct doctor *d, struct finding *f);
void doctor_check_pressure(struct doctor *d, struct finding *f);
void doctor_check_userns(struct doctor *d, struct finding *f);
void doctor_check_cgroups(struct doctor *d, struct finding *f);
void doctor_check_hybrid(struct doctor *d, struct finding *f);
void doctor_check_swap(struct doctor *d, struct finding *f);
