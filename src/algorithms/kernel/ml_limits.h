/* ml_limits - every ceiling on what strata-ml takes from files and parameters, with its reason. */
#pragma once
#include "base/limits.h"

#define ML_LIMIT_COLUMNS 65536           /* a table as wide as a small image */
#define ML_LIMIT_ROWS 0x7fffffffULL      /* row numbers are 32 bits */
#define ML_LIMIT_CELL_BYTES (1 * MIB)    /* one cell of text; longer is a quote left open */
#define ML_LIMIT_NAME_BYTES 1024         /* a column name */
#define ML_LIMIT_DICT_BYTES (16 * GIB)   /* different texts of one column */
#define ML_LIMIT_CLASSES 4096            /* a label with more is no label */
#define ML_LIMIT_CATEGORIES 65536        /* different texts of one feature */
#define ML_LIMIT_VOCABULARY (1 * MIB)    /* values an encoder numbers, terms of a text */
#define ML_LIMIT_PARAMETERS (256 * MIB)  /* numbers in one model */
#define ML_LIMIT_LAYERS 32               /* of an mlp */
#define ML_LIMIT_LAYER_WIDTH 65536       /* units in one of them */
#define ML_LIMIT_TRANSFORMS 64           /* fitted on the way to one table */
#define ML_LIMIT_REPORT_BYTES (64 * MIB) /* a confusion matrix of 4096 x 4096 needs 40 */
#define ML_LIMIT_PREVIEW_BYTES (4 * MIB) /* 500 columns with their figures */
#define ML_LIMIT_STEPS 64                /* in one chain */
#define ML_LIMIT_WORDS 256               /* in one step */
#define ML_LIMIT_THREADS 256
#define ML_LIMIT_NULL_VALUES 64
#define ML_LIMIT_ARROW_BYTES (256 * MIB) /* metadata of one message: 65,536 columns take 80 */
#define ML_LIMIT_ARROW_BATCHES 1000000
#define ML_LIMIT_JSON_DEPTH 64         /* arrays in arrays of one value */
#define ML_LIMIT_LINE_BYTES (64 * MIB) /* a line of JSON: 65,536 keys of 1,024 bytes */
#define ML_LIMIT_FILES 10000           /* of one folder or pattern */
#define ML_LIMIT_FOLDERS 16            /* below each other in a pattern or of partitions */
#define ML_LIMIT_FOLDER_ENTRIES 50000  /* of all of them, looked at */
