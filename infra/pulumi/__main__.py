"""Gadwall, as the stack's configuration says. `stack.py` has what it is made of."""

import pulumi

import stack

made = stack.build(stack.Wanted.from_config(pulumi.get_stack(), pulumi.Config()))
pulumi.export("namespace", made.namespace)
pulumi.export("image", made.image)
pulumi.export("url", made.url)
