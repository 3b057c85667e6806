/*
 * recorder: the good one. Writes down each delivery and syncs the file in `flush`, so that a delivery that counts
 * is a line on the disk.
 *
 * The hub must: bring every alert here at least once, in order, whatever its neighbours do.
 */
#include "record.h"

static int32_t create(const wp_host *host, wp_str config, const wp_call *call, void **self, wp_reply *reply) {
    int32_t outcome = hostile_create(host, config, call, self, reply);
    return outcome == WP_OK ? record_open(reply) : outcome;
}

static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    (void)self;
    return record_write(alert, call, reply);
}

static int32_t flush(void *self, const wp_call *call, wp_reply *reply) {
    (void)self, (void)call;
    return record_sync(reply);
}

WP_EXPORT const wp_plugin watchpost_sink_v1 = {
    HOSTILE_HEAD("recorder", "Writes down each delivery."),
    .create = create, .deliver = deliver, .flush = flush, .destroy = hostile_destroy,
};
