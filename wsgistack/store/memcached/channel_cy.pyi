from wsgistack.store.memcached.channel import Channel as Channel
