/* Whether a line's queue grows: the twin of media/relay/gradient, to the last bit. */
#include "rule_tables.h"

#define GROUP_S 0.005
#define BURST_S 0.1
#define LEAST_SPREAD 1.0
#define SMOOTHING 0.9
#define GAIN 4.0
#define MAX_DELTAS 60
#define OVERUSE_MS 10.0
#define K_UP 0.0087
#define K_DOWN 0.039
#define LOWEST_MS 6.0
#define FIRST_MS 12.5
#define HIGHEST_MS 600.0
#define OUTLIER_MS 15.0

void rule_gradient_init(struct rule_gradient *gradient) {
    *gradient = (struct rule_gradient){.threshold = FIRST_MS, .over_ms = -1};
}

void rule_gradient_reset(struct rule_gradient *gradient) {
    *gradient = (struct rule_gradient){.threshold = gradient->threshold, .over_ms = -1};
}

/* The sums from the points themselves: at first, and once a window, before rounding shows. */
static void begin_anew(struct rule_gradient *gradient) {
    double first = gradient->points[gradient->start].at;
    struct rule_line line = {.first = first, .until_anew = RULE_GRADIENT_POINTS};
    for (int index = 0; index < RULE_GRADIENT_POINTS; index++) {
        const struct rule_point *point = &gradient->points[(gradient->start + index) % RULE_GRADIENT_POINTS];
        double x = point->at - first;
        line.sum_x += x;
        line.sum_y += point->delay;
        line.sum_xx += x * x;
        line.sum_xy += x * point->delay;
    }
    gradient->line = line;
}

/* Least squares over the newest points (gradient.TrendLine), in milliseconds of delay for each millisecond. */
static double add_point(struct rule_gradient *gradient, double at, double delay) {
    struct rule_line *line = &gradient->line;
    bool full = gradient->count == RULE_GRADIENT_POINTS;
    struct rule_point gone = gradient->points[gradient->start];
    gradient->points[(gradient->start + gradient->count) % RULE_GRADIENT_POINTS] = (struct rule_point){at, delay};
    if (full)
        gradient->start = (gradient->start + 1) % RULE_GRADIENT_POINTS;
    else if (++gradient->count < RULE_GRADIENT_POINTS)
        return 0;
    if (full && line->until_anew) {
        line->until_anew--;
        double x = at - line->first, was = gone.at - line->first;
        line->sum_x += x - was;
        line->sum_y += delay - gone.delay;
        line->sum_xx += x * x - was * was;
        line->sum_xy += x * delay - was * gone.delay;
    } else {
        begin_anew(gradient);
    }
    double spread = line->sum_xx - line->sum_x * line->sum_x / RULE_GRADIENT_POINTS;
    return spread > LEAST_SPREAD ? (line->sum_xy - line->sum_x * line->sum_y / RULE_GRADIENT_POINTS) / spread : 0;
}

static void move_threshold(struct rule_gradient *gradient, double trend, double at_ms) {
    bool known = gradient->threshold_known;
    double before = gradient->threshold_at, threshold = gradient->threshold;
    gradient->threshold_known = true;
    gradient->threshold_at = at_ms;
    if (!known || trend > threshold + OUTLIER_MS)
        return;
    double gain = trend < threshold ? K_DOWN : K_UP, passed = at_ms - before;
    passed = passed > 0 ? passed : 0;
    passed = passed < 100 ? passed : 100;
    double moved = threshold + gain * (trend - threshold) * passed;
    moved = moved > LOWEST_MS ? moved : LOWEST_MS;
    gradient->threshold = moved < HIGHEST_MS ? moved : HIGHEST_MS;
}

static void judge(struct rule_gradient *gradient, double slope, double sent_ms, double at_ms) {
    int deltas = gradient->deltas < MAX_DELTAS ? gradient->deltas : MAX_DELTAS;
    double trend = deltas * slope * GAIN;
    if (trend > gradient->threshold) {
        gradient->over_ms = gradient->over_ms < 0 ? sent_ms / 2 : gradient->over_ms + sent_ms;
        gradient->over_count++;
        if (gradient->over_ms > OVERUSE_MS && gradient->over_count > 1 && slope >= gradient->slope) {
            gradient->over_ms = 0;
            gradient->over_count = 0;
            gradient->signal = RULE_OVERUSE;
        }
    } else {
        gradient->over_ms = -1;
        gradient->over_count = 0;
        gradient->signal = trend < -gradient->threshold ? RULE_UNDERUSE : RULE_NORMAL;
    }
    gradient->slope = slope;
    move_threshold(gradient, fabs(trend), at_ms);
}

static void close_group(struct rule_gradient *gradient) {
    const struct rule_group *group = &gradient->group, before = gradient->previous;
    bool known = gradient->previous_known;
    gradient->previous = *group;
    gradient->previous_known = true;
    if (!known)
        return;
    double sent_ms = (group->last_sent - before.last_sent) * 1000;
    double arrived_ms = (group->last_arrived - before.last_arrived) * 1000;
    gradient->deltas++;
    gradient->accumulated += arrived_ms - sent_ms;
    gradient->smoothed += (1 - SMOOTHING) * (gradient->accumulated - gradient->smoothed);
    double slope = add_point(gradient, group->last_arrived * 1000, gradient->smoothed);
    judge(gradient, slope, sent_ms, group->last_arrived * 1000);
}

/* Packets sent apart that arrive back to back waited somewhere together: one group. */
static bool squeezed(const struct rule_group *group, double sent_at, double arrived_at) {
    double gap = arrived_at - group->last_arrived;
    return gap - (sent_at - group->last_sent) < 0 && gap <= GROUP_S && arrived_at - group->first_arrived < BURST_S;
}

void rule_gradient_packet(struct rule_gradient *gradient, double sent_at, double arrived_at) {
    struct rule_group *group = &gradient->group;
    double elapsed = sent_at - group->first_sent;
    if (gradient->grouped && elapsed < 0)
        return; /* came out of order, and its group has been closed */
    if (gradient->grouped && (elapsed <= GROUP_S || squeezed(group, sent_at, arrived_at))) {
        group->last_sent = sent_at > group->last_sent ? sent_at : group->last_sent;
        group->last_arrived = arrived_at > group->last_arrived ? arrived_at : group->last_arrived;
        return;
    }
    if (gradient->grouped)
        close_group(gradient);
    gradient->grouped = true;
    *group = (struct rule_group){sent_at, sent_at, arrived_at, arrived_at};
}
