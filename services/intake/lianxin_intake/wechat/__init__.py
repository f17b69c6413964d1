"""A WeChat Official Account as a channel: what people write to it becomes opinions. `docs/wechat.md`."""
