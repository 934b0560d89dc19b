"""What Messaging Layer Security carries of credentials (RFC 9420): leaves, KeyPackages and trees.

A strict codec and the signatures over it. Groups are not operated here: no epochs, no secrets of a group, no
messages opened; a stack that can erase its secrets does that.

Source of the credential types 0x0005 and 0x0006: draft-mahy-mls-sd-cwt-credential-02.
"""
