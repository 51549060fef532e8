#include "algorithms/kernel/calendar.h"

#include <stdio.h>

enum { DAYS_OF_400_YEARS = 146097, DAYS_TO_1970 = 719468 /* from 0000-03-01 */ };
enum { FIRST_DAY = -719162 /* 0001-01-01 */, LAST_DAY = 2932896 /* 9999-12-31 */ };

/* Years are counted from March, so that the leap day is the last of its year. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t era = y / 400, of_era = y % 400; /* years are 1 or more, or this would round up */
    int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return era * DAYS_OF_400_YEARS + of_era * 365 + of_era / 4 - of_era / 100 + of_year -
           DAYS_TO_1970;
}

void calendar_date_of(int64_t days, int *year, int *month, int *day)
{
    int64_t n = days + DAYS_TO_1970, era = n / DAYS_OF_400_YEARS, of_era = n % DAYS_OF_400_YEARS;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;

    *day = (int)(of_year - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = (int)(y + era * 400 + (*month <= 2));
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in(int year, int month)
{
    static const int most[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return most[month - 1] + (month == 2 && is_leap(year));
}

int64_t calendar_month_on(int64_t days, int64_t months, int day)
{
    int year, month, ignored;
    int64_t at;

    calendar_date_of(days, &year, &month, &ignored);
    at = (int64_t)year * 12 + month - 1 + months;
    year = (int)(at / 12);
    month = (int)(at % 12) + 1;
    return days_of(year, month, day < days_in(year, month) ? day : days_in(year, month));
}

/* `n` digits off the front of *s as a number, or -1. */
static int digits(struct str *s, size_t n)
{
    int v = 0;

    if (s->len < n) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9') {
            return -1;
        }
        v = v * 10 + (s->p[i] - '0');
    }
    *s = str_from(*s, n);
    return v;
}

static bool take(struct str *s, char c)
{
    bool there = s->len > 0 && s->p[0] == c;

    *s = str_from(*s, there);
    return there;
}

/* "2024-02-29" off the front. */
static int take_date(struct str *s, int64_t *days)
{
    int year = digits(s, 4), month, day;

    if (year < 1 || !take(s, '-')) {
        return -1;
    }
    month = digits(s, 2);
    if (month < 1 || month > 12 || !take(s, '-')) {
        return -1;
    }
    day = digits(s, 2);
    if (day < 1 || day > days_in(year, month)) {
        return -1;
    }
    *days = days_of(year, month, day);
    return 0;
}

int calendar_parse_date(struct str s, int64_t *days)
{
    return take_date(&s, days) == 0 && s.len == 0 ? 0 : -1;
}

/* ".5" off the front as microseconds; 0 when there is none, -1 when it is finer. */
static int take_fraction(struct str *s)
{
    int us = 0, unit = 100000;

    if (!take(s, '.') && !take(s, ',')) {
        return 0;
    }
    if (digits(&(struct str){s->p, s->len}, 1) < 0) {
        return -1;
    }
    while (s->len > 0 && s->p[0] >= '0' && s->p[0] <= '9') {
        int digit = digits(s, 1);

        if (unit == 0 && digit > 0) {
            return -1;
        }
        us += digit * unit;
        unit /= 10;
    }
    return us;
}

/* The zone that is left of the text, as seconds east of UTC. */
static int parse_zone(struct str s, int *east)
{
    int sign = take(&s, '-') ? -1 : take(&s, '+') ? 1 : 0, hours = 0, minutes = 0;

    if (sign == 0) {
        (void)(take(&s, 'Z') || take(&s, 'z'));
        *east = 0;
        return s.len == 0 ? 0 : -1;
    }
    hours = digits(&s, 2);
    if (s.len > 0) {
        (void)take(&s, ':');
        minutes = digits(&s, 2);
    }
    *east = sign * (hours * 3600 + minutes * 60);
    return hours >= 0 && hours < 24 && minutes >= 0 && minutes < 60 && s.len == 0 ? 0 : -1;
}

int calendar_parse_time(struct str s, int64_t *us)
{
    int64_t days;
    int hour, minute, second = 0, fraction = 0, east;

    if (take_date(&s, &days) < 0 || !(take(&s, 'T') || take(&s, 't') || take(&s, ' '))) {
        return -1;
    }
    hour = digits(&s, 2);
    if (hour < 0 || hour > 23 || !take(&s, ':')) {
        return -1;
    }
    minute = digits(&s, 2);
    if (take(&s, ':')) {
        second = digits(&s, 2);
        fraction = take_fraction(&s);
    }
    if (minute < 0 || minute > 59 || second < 0 || second > 59 || fraction < 0 ||
        parse_zone(s, &east) < 0) {
        return -1;
    }
    *us = days * CALENDAR_DAY_US + (hour * 3600LL + minute * 60LL + second - east) * 1000000LL +
          fraction;
    return 0;
}

bool calendar_has_text(int64_t days)
{
    return days >= FIRST_DAY && days <= LAST_DAY;
}

char *calendar_format_date(int64_t days, char out[CALENDAR_TEXT_BYTES])
{
    int year, month, day;

    calendar_date_of(days, &year, &month, &day);
    (void)snprintf(out, CALENDAR_TEXT_BYTES, "%04d-%02d-%02d", year, month, day);
    return out;
}

char *calendar_format_time(int64_t us, char out[CALENDAR_TEXT_BYTES])
{
    int64_t rest = us % CALENDAR_DAY_US;
    int64_t days = us / CALENDAR_DAY_US - (rest < 0);
    int year, month, day, s, n;

    rest += rest < 0 ? CALENDAR_DAY_US : 0;
    calendar_date_of(days, &year, &month, &day);
    s = (int)(rest / 1000000);
    rest %= 1000000;
    n = snprintf(out, CALENDAR_TEXT_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day,
                 s / 3600, s / 60 % 60, s % 60);
    if (rest % 1000 > 0) {
        n += snprintf(out + n, CALENDAR_TEXT_BYTES - (size_t)n, ".%06d", (int)rest);
    } else if (rest > 0) {
        n += snprintf(out + n, CALENDAR_TEXT_BYTES - (size_t)n, ".%03d", (int)(rest / 1000));
    }
    (void)snprintf(out + n, CALENDAR_TEXT_BYTES - (size_t)n, "Z");
    return out;
}
