#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "exporter/lane.h"

#include <semaphore.h>
#include <string.h>

/* Three collectors, of which the second waits. */
static sem_t began, may_end;
static int n_last;

static int first(struct node *n UNUSED, struct page *p, struct err *e UNUSED)
{
    (void)buf_add_c(p->out, "first\n");
    return 0;
}

static int waits(struct node *n UNUSED, struct page *p, struct err *e UNUSED)
{
    (void)buf_add_c(p->out, "half of ");
    (void)sem_post(&began);
    (void)sem_wait(&may_end);
    (void)buf_add_c(p->out, "second\n");
    return 0;
}

static int last(struct node *n UNUSED, struct page *p, struct err *e)
{
    n_last++;
    (void)buf_add_c(p->out, "last\n");
    return err_set(e, ERR_NOT_FOUND, "none here");
}

static const struct collector three[] = {{"a", first, ON}, {"b", waits, ON}, {"c", last, ON}};
enum { A, B, C, N = ARRAY_LEN(three) };
static const bool all[N] = {true, true, true};
static const struct exporter_options options = {0};

static struct lane *open_lane(void)
{
    struct err e;
    struct lane *l = lane_open(&options, three, N, LANE_PLAIN, &e);

    assert_non_null(l);
    assert_int_equal(sem_init(&began, 0, 0), 0);
    assert_int_equal(sem_init(&may_end, 0, 0), 0);
    n_last = 0;
    return l;
}

static int64_t in_a_minute(void)
{
    return clock_mono_ms() + 60000;
}

/* What has come so far is `text`, of those collectors. */
static void takes(struct lane *l, const char *text, const bool shown[N])
{
    SCOPED(buf_done) struct buf out = BUF_MAX(4096);
    struct outcome outcomes[COLLECTORS_MAX] = {0};

    (void)buf_add_c(&out, "page\n");
    lane_take(l, &out, outcomes);
    assert_string_equal(out.p + strlen("page\n"), text);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(outcomes[i].shown, shown[i]);
        assert_int_equal(outcomes[i].ok, shown[i] && i != C);
    }
}

static void all_in_their_order(void **arg UNUSED)
{
    struct lane *l = open_lane();
    size_t at;

    for (int turn = 0; turn < 3; turn++) {
        (void)sem_post(&may_end);
        assert_true(lane_ask(l, all, EXPORTER_TEXT));
        assert_int_equal(lane_await(l, in_a_minute(), 0, &at), LANE_DONE);
        takes(l, "first\nhalf of second\nlast\n", all);
    }
    assert_true(lane_close(l));
}

/* Those before have what they gave; those behind are called off, and the lane can be asked again
 * when the one that is late comes back. */
static void what_came_before_one_that_is_late(void **arg UNUSED)
{
    static const bool only_first[N] = {[A] = true}, only_last[N] = {[C] = true};
    struct lane *l = open_lane();
    size_t at;

    assert_true(lane_ask(l, all, EXPORTER_TEXT));
    (void)sem_wait(&began);
    assert_int_equal(lane_await(l, clock_mono_ms(), 60000, &at), LANE_LATE);
    takes(l, "first\n", only_first);
    assert_false(lane_ask(l, only_last, EXPORTER_TEXT));
    (void)sem_post(&may_end);
    assert_int_equal(lane_await(l, in_a_minute(), 60000, &at), LANE_DONE);
    assert_int_equal(n_last, 0);
    assert_true(lane_ask(l, only_last, EXPORTER_TEXT)); /* and what came too late is gone */
    assert_int_equal(lane_await(l, in_a_minute(), 0, &at), LANE_DONE);
    takes(l, "last\n", only_last);
    assert_true(lane_close(l));
}

static void one_that_hangs_is_named(void **arg UNUSED)
{
    static const bool only_first[N] = {[A] = true};
    struct lane *l = open_lane();
    size_t at = N;

    assert_true(lane_ask(l, all, EXPORTER_TEXT));
    (void)sem_wait(&began);
    assert_int_equal(lane_await(l, in_a_minute(), 1, &at), LANE_HANGS);
    assert_int_equal(at, B);
    takes(l, "first\n", only_first);
    at = N; /* the page after it finds the same, by the time since it began */
    assert_int_equal(lane_await(l, in_a_minute(), 1, &at), LANE_HANGS);
    assert_int_equal(at, B);
    (void)sem_post(&may_end);
    assert_int_equal(lane_await(l, in_a_minute(), 0, &at), LANE_DONE);
    assert_int_equal(n_last, 0);
    assert_true(lane_close(l));
}

/* What is there already when the page is late for others is not lost, be it the last. */
static void one_that_comes_back_meanwhile_is_taken(void **arg UNUSED)
{
    static const bool both[N] = {[A] = true, [B] = true};
    struct lane *l = open_lane();
    size_t at;

    assert_true(lane_ask(l, both, EXPORTER_TEXT));
    (void)sem_wait(&began);
    assert_int_equal(lane_await(l, clock_mono_ms(), 0, &at), LANE_LATE);
    (void)sem_post(&may_end);
    assert_int_equal(lane_await(l, in_a_minute(), 0, &at), LANE_DONE);
    takes(l, "first\nhalf of second\n", both);
    assert_true(lane_close(l));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_in_their_order),
        cmocka_unit_test(what_came_before_one_that_is_late),
        cmocka_unit_test(one_that_hangs_is_named),
        cmocka_unit_test(one_that_comes_back_meanwhile_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
