/* gemm_template - matrix product for one REAL and one vector width; included by simd_impl.c with
 * REAL, VEC, LANES, MR (rows of a tile, a multiple of 3 or 4) and the names GEMM, GEMM_ARGS.
 *
 *        NR = 2 vectors                A is read where it lies: a broadcast of one element each.
 *      +----+----+                     B is packed in panels of NR columns, KC rows deep, which
 *   MR | c  | c  |  in registers       stay in the first-level cache while all rows of A pass.
 *      +----+----+                     Edges are filled with zeroes and run through the same tile.
 */
#define NR (2 * LANES)
#define KC 256
#define PACKED_FROM (4 * MR) /* fewer rows of A do not pay for the packing */

static inline __attribute__((always_inline)) VEC GLUE(load, REAL)(const REAL *p)
{
    return *(const VEC *)p;
}

static __attribute__((noinline)) void GLUE(tile, REAL)(size_t k, const REAL *a, size_t a_row,
                                                       size_t a_col, const REAL *b, size_t b_row,
                                                       REAL *c, size_t c_row)
{
    VEC acc[MR][2];

#pragma GCC unroll 16
    for (int r = 0; r < MR; r++) {
        acc[r][0] = GLUE(load, REAL)(c + (size_t)r * c_row);
        acc[r][1] = GLUE(load, REAL)(c + (size_t)r * c_row + LANES);
    }
    for (size_t p = 0; p < k; p++) {
        VEC b0 = GLUE(load, REAL)(b), b1 = GLUE(load, REAL)(b + LANES);

#pragma GCC unroll 16
        for (int r = 0; r < MR; r++) {
            REAL x = a[(size_t)r * a_row];

            acc[r][0] += x * b0;
            acc[r][1] += x * b1;
        }
        a += a_col;
        b += b_row;
    }
#pragma GCC unroll 16
    for (int r = 0; r < MR; r++) {
        *(VEC *)(c + (size_t)r * c_row) = acc[r][0];
        *(VEC *)(c + (size_t)r * c_row + LANES) = acc[r][1];
    }
}

/* Columns j .. j+n of k rows of B, padded to NR. */
static void GLUE(pack_b, REAL)(const struct GEMM_ARGS *g, size_t p, size_t k, size_t j, size_t n,
                               REAL *to)
{
    for (size_t q = 0; q < k; q++, to += NR) {
        const REAL *from = g->b + (p + q) * g->b_row + j * g->b_col;

        if (g->b_col == 1 && n == NR) {
            *(VEC *)to = GLUE(load, REAL)(from);
            *(VEC *)(to + LANES) = GLUE(load, REAL)(from + LANES);
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            to[i] = from[i * g->b_col];
        }
        for (size_t i = n; i < NR; i++) {
            to[i] = 0;
        }
    }
}

/* Rows i .. i+m of A as columns of MR, padded. */
static void GLUE(pack_a, REAL)(const struct GEMM_ARGS *g, size_t p, size_t k, size_t i, size_t m,
                               REAL *to)
{
    for (size_t q = 0; q < k; q++, to += MR) {
        for (size_t r = 0; r < MR; r++) {
            to[r] = r < m ? g->a[(i + r) * g->a_row + (p + q) * g->a_col] : 0;
        }
    }
}

/* A tile that is cut by the border of C: through a full tile beside it. */
static void GLUE(edge, REAL)(const struct GEMM_ARGS *g, size_t k, const REAL *a, size_t a_row,
                             size_t a_col, const REAL *b, size_t b_row, size_t i, size_t m,
                             size_t j, size_t n)
{
    REAL tile[MR * NR] __attribute__((aligned(64))) = {0};

    for (size_t r = 0; r < m; r++) {
        for (size_t s = 0; s < n; s++) {
            tile[r * NR + s] = g->c[(i + r) * g->c_row + j + s];
        }
    }
    GLUE(tile, REAL)(k, a, a_row, a_col, b, b_row, tile, NR);
    for (size_t r = 0; r < m; r++) {
        for (size_t s = 0; s < n; s++) {
            g->c[(i + r) * g->c_row + j + s] = tile[r * NR + s];
        }
    }
}

static void GEMM(const struct GEMM_ARGS *g)
{
    REAL packed[KC * NR] __attribute__((aligned(64)));
    REAL last_rows[KC * MR] __attribute__((aligned(64)));
    size_t whole = g->m - g->m % MR;

    for (size_t p = 0; p < g->k; p += KC) {
        size_t k = g->k - p < KC ? g->k - p : KC;

        if (whole < g->m) {
            GLUE(pack_a, REAL)(g, p, k, whole, g->m - whole, last_rows);
        }
        for (size_t j = 0; j < g->n; j += NR) {
            size_t n = g->n - j < NR ? g->n - j : NR, b_row = NR;
            const REAL *b = packed;

            if (g->b_col == 1 && n == NR && g->m <= PACKED_FROM) {
                b = g->b + p * g->b_row + j;
                b_row = g->b_row;
            } else {
                GLUE(pack_b, REAL)(g, p, k, j, n, packed);
            }
            for (size_t i = 0; i < whole; i += MR) {
                const REAL *a = g->a + i * g->a_row + p * g->a_col;

                if (n == NR) {
                    GLUE(tile, REAL)
                    (k, a, g->a_row, g->a_col, b, b_row, g->c + i * g->c_row + j, g->c_row);
                } else {
                    GLUE(edge, REAL)(g, k, a, g->a_row, g->a_col, b, b_row, i, MR, j, n);
                }
            }
            if (whole < g->m) {
                GLUE(edge, REAL)(g, k, last_rows, 1, MR, b, b_row, whole, g->m - whole, j, n);
            }
        }
    }
}

#undef NR
#undef KC
#undef PACKED_FROM
