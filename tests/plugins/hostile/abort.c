/*
 * abort: calls abort() at every alert, as a failed assertion or an exception that nobody catches does.
 *
 * The hub must: do as with a crash, naming SIGABRT.
 */
#include "hostile.h"

static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    (void)self, (void)alert, (void)call, (void)reply;
    abort();
}

WP_EXPORT const wp_plugin watchpost_sink_v1 = {
    HOSTILE_HEAD("abort", "Aborts."),
    .create = hostile_create, .deliver = deliver, .destroy = hostile_destroy,
};
