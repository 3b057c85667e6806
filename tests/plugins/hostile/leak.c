/*
 * leak: keeps 4 MiB of every alert and does its work all the same: writes down each delivery.
 *
 * The hub must: start it anew when it holds more than `recycle_over`, between two deliveries and without calling it a
 * crash.
 */
#include "record.h"

#define LEAK_BYTES ((size_t)4 << 20)

static void *volatile kept;

static int32_t create(const wp_host *host, wp_str config, const wp_call *call, void **self, wp_reply *reply) {
    int32_t outcome = hostile_create(host, config, call, self, reply);
    return outcome == WP_OK ? record_open(reply) : outcome;
}

static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    (void)self;
    kept = malloc(LEAK_BYTES);
    if (kept == NULL) return wp_fail(reply, WP_RETRY, "no memory");
    memset(kept, 1, LEAK_BYTES);
    return record_write(alert, call, reply);
}

WP_EXPORT const wp_plugin watchpost_sink_v1 = {
    HOSTILE_HEAD("leak", "Keeps some memory of every alert."),
    .create = create, .deliver = deliver, .destroy = hostile_destroy,
};
