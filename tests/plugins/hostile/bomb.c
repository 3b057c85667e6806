/*
 * bomb: describes its configuration by a schema in which each part refers to the next one twice, forty times over.
 *
 * The hub must: not follow it, say that the plugin is at fault, and be as fast as with any other.
 */
#include "hostile.h"

#define PARTS 40

static int32_t describe(wp_reply *reply) {
    static char text[8192];
    size_t length = (size_t)snprintf(text, sizeof text, "{\"schema\":{\"allOf\":[{\"$ref\":\"#/$defs/d0\"}],\"$defs\":{");
    for (int i = 0; i < PARTS; i++)
        length += (size_t)snprintf(text + length, sizeof text - length,
                                   "\"d%d\":{\"allOf\":[{\"$ref\":\"#/$defs/d%d\"},{\"$ref\":\"#/$defs/d%d\"}]},", i, i + 1,
                                   i + 1);
    snprintf(text + length, sizeof text - length, "\"d%d\":{\"type\":\"object\"}}}}", PARTS);
    reply->note(reply, wp_text(""), wp_text(text));
    return WP_OK;
}

static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    (void)self, (void)alert, (void)call, (void)reply;
    return WP_OK;
}

WP_EXPORT const wp_plugin watchpost_sink_v1 = {
    HOSTILE_HEAD("bomb", "Has a schema that grows without end."),
    .describe = describe, .create = hostile_create, .deliver = deliver, .destroy = hostile_destroy,
};
