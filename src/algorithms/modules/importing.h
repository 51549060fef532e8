/* importing - what the import modules share: rows of their tables, and checks before a run. The
 * server brings their data (src/studio/imports); what is left for strata-ml is to read it. */
#pragma once
#include "algorithms/kernel/check.h"

#define IMPORT_SECRET(what)                                                                        \
    {                                                                                              \
        "secret", PARAM_TEXT, "", 0, 0, NULL, what                                                 \
    }
#define IMPORT_MAX_SIZE                                                                            \
    {                                                                                              \
        "max_size", PARAM_TEXT, "10Gi", 0, 0, NULL, "More than so many bytes are an error."        \
    }
#define IMPORT_RETRIES                                                                             \
    {                                                                                              \
        "retries", PARAM_INT, "3", 0, 20, NULL,                                                    \
            "How often it is tried again when the other side is not reached or busy, each time "   \
            "after a longer wait."                                                                 \
    }

/* For `run` of modules whose file is the output itself. ERR_INVALID. */
int import_is_of_pipelines(struct step *s, struct err *e);
/* max_size is a size. */
void import_check_size(struct check *c);
/* Exactly one of two texts is given. */
void import_check_one(struct check *c, const char *a, const char *b);
/* An address of http or https without credentials in it. */
void import_check_url(struct check *c, const char *param);
/* `secret` is a name, and given when it is needed. */
void import_check_secret(struct check *c, bool is_needed, const char *what_for);
