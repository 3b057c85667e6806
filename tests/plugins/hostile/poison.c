/*
 * poison: crashes on alerts whose title or JSON contains the configured marker (or "poison"), and writes down all
 * others: {"file": "/var/tmp/record", "marker": "boom"}.
 *
 * The hub must: give the poisonous alert up after three crashes, naming the signal, and deliver all others, those
 * that were in the same run included.
 */
#include "record.h"

static char marker[256] = "poison";

static int32_t create(const wp_host *host, wp_str config, const wp_call *call, void **self, wp_reply *reply) {
    int32_t outcome = hostile_create(host, config, call, self, reply);
    hostile_text("marker", marker, sizeof marker);
    return outcome == WP_OK ? record_open(reply) : outcome;
}

static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    (void)self;
    int poisonous = hostile_contains(alert->title, marker) || hostile_contains(alert->json, marker);
    if (poisonous) *(volatile int *)NULL = 1;
    return record_write(alert, call, reply);
}

static int32_t flush(void *self, const wp_call *call, wp_reply *reply) {
    (void)self, (void)call;
    return record_sync(reply);
}

WP_EXPORT const wp_plugin watchpost_sink_v1 = {
    HOSTILE_HEAD("poison", "Crashes on some alerts and writes down the others."),
    .create = create, .deliver = deliver, .flush = flush, .destroy = hostile_destroy,
};
