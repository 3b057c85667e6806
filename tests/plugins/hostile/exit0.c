/*
 * exit0: calls exit(0) at every alert, which looks like success to whoever counts exit codes.
 *
 * The hub must: count it as a crash: the delivery was not done.
 */
#include "hostile.h"

static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    (void)self, (void)alert, (void)call, (void)reply;
    exit(0);
}

WP_EXPORT const wp_plugin watchpost_sink_v1 = {
    HOSTILE_HEAD("exit0", "Calls exit(0)."),
    .create = hostile_create, .deliver = deliver, .destroy = hostile_destroy,
};
