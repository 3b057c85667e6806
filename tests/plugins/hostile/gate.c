/*
 * gate: delivers nothing while a file is there, as a mail server that is away, and writes down each delivery after:
 * {"file": "/var/tmp/record", "gate": "/var/tmp/closed"}.
 *
 * The hub must: keep what waits on the disk and not in its memory, and bring it in order when the gate opens.
 */
#include "record.h"

static char gate[4096];

static int32_t create(const wp_host *host, wp_str config, const wp_call *call, void **self, wp_reply *reply) {
    int32_t outcome = hostile_create(host, config, call, self, reply);
    if (!hostile_text("gate", gate, sizeof gate)) {
        reply->note(reply, wp_text("/gate"), wp_text("the path of the file that closes the gate is missing"));
        return WP_BAD_CONFIG;
    }
    return outcome == WP_OK ? record_open(reply) : outcome;
}

static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    (void)self;
    if (access(gate, F_OK) == 0) return wp_fail(reply, WP_RETRY, "the gate is closed");
    return record_write(alert, call, reply);
}

static int32_t flush(void *self, const wp_call *call, wp_reply *reply) {
    (void)self, (void)call;
    return record_sync(reply);
}

WP_EXPORT const wp_plugin watchpost_sink_v1 = {
    HOSTILE_HEAD("gate", "Delivers nothing while a file is there."),
    .create = create, .deliver = deliver, .flush = flush, .destroy = hostile_destroy,
};
