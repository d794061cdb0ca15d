# SPDX-License-Identifier: Apache-2.0
"""CHAP credentials of an imitated TPG or ACL (iscsi_target_configfs.c)."""

import dataclasses
import errno

from tests.unit.privsep.configfs import Attribute, refuse

_SECRET = 256  # MAX_USER_LEN and MAX_PASS_LEN


@dataclasses.dataclass
class Auth:
    """CHAP credentials; a field that was never written is empty."""

    userid: str = ""
    password: str = ""
    userid_mutual: str = ""
    password_mutual: str = ""

    @property
    def pair(self) -> tuple[str, str] | None:
        """What a login has to prove; None if it can prove nothing."""
        pair = self.userid, self.password
        return pair if all(map(_is_set, pair)) else None

    @property
    def mutual(self) -> bool:
        """Whether the target is to prove itself, too."""
        return _is_set(self.userid_mutual) and _is_set(self.password_mutual)

    def attributes(self) -> dict[str, Attribute]:
        """Give the files of the folder ``auth``."""
        names = [field.name for field in dataclasses.fields(self)]
        mutual = Attribute(lambda: f"{int(self.mutual)}\n")
        return {name: self._file(name) for name in names} | {
            "authenticate_target": mutual
        }

    def _file(self, name: str) -> Attribute:
        def put(text: str) -> None:
            if len(text) >= _SECRET:
                refuse(errno.EINVAL)
            setattr(self, name, text)

        return Attribute(lambda: f"{getattr(self, name)}\n", put)


def _is_set(value: str) -> bool:
    # NAF_USERID_SET and the like go with what begins with NULL; the text stays.
    return bool(value) and not value.startswith("NULL")
