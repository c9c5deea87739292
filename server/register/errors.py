"""The stable error codes of the register."""

from __future__ import annotations

from media.errors import ErrorCode

NO_PARENT = ErrorCode(
    "no_such_parent", 422, "上级机构不存在或已停用。", "There is no such parent, or it is closed."
)
PARENT_CIRCLE = ErrorCode(
    "parent_circle", 422, "上级机构形成了循环。", "An organization would stand above itself."
)
PARENT_LEVEL = ErrorCode(
    "parent_level",
    422,
    "上级机构的级别不能低于本机构。",
    "The parent is of a lower level than the organization.",
)
TOO_DEEP = ErrorCode(
    "too_many_levels", 422, "机构层级过多。", "Too many organizations stand above one another."
)
CODE_TAKEN = ErrorCode("code_taken", 409, "该机构代码已被使用。", "This institution code is taken.")
REGISTRATION_TAKEN = ErrorCode(
    "registration_taken", 409, "该执业证书编号已登记。", "This licence number is registered already."
)
USERNAME_TAKEN = ErrorCode("username_taken", 409, "该用户名已被使用。", "This user name is taken.")
SERIAL_TAKEN = ErrorCode(
    "serial_taken", 409, "该设备序列号已登记。", "A device with this serial number is registered."
)
OUT_OF_REACH = ErrorCode(
    "out_of_reach", 403, "只能维护本县医共体内的机构和人员。", "This belongs to another county's desk."
)
ROLE_NOT_YOURS = ErrorCode(
    "role_not_yours",
    403,
    "只有管理员可以授予或变更此角色。",
    "Only an administrator gives or takes this role.",
)
NOT_EMPTY = ErrorCode(
    "not_empty",
    409,
    "该机构还有在用的下级机构、人员或设备，请先处理。",
    "People, devices or organizations still stand below it; close or move them first.",
)
NO_SUCH_PLACE = ErrorCode(
    "no_such_place",
    422,
    "机构或地点不存在或已停用。",
    "There is no such organization or site, or it is closed.",
)
NO_SPECIALTY = ErrorCode("no_such_specialty_code", 422, "专科代码不存在。", "There is no such specialty.")
EXPERT_WITHOUT = ErrorCode(
    "expert_without_specialty", 422, "专家至少要有一个专科。", "An expert needs a specialty."
)
NOT_YOURSELF = ErrorCode(
    "not_yourself",
    409,
    "不能停用自己或收回自己的角色。",
    "You cannot close your own account or take your own role.",
)
NO_ACCOUNT = ErrorCode("no_account", 409, "此人还没有账号。", "This person has no account yet.")
PASSWORD_WEAK = ErrorCode(
    "password_weak",
    422,
    "新密码至少 10 位，不能与用户名或旧密码相同。",
    "The new password needs 10 letters and must differ from the user name and the old one.",
)
PASSWORD_MUST_CHANGE = ErrorCode(
    "password_must_change",
    403,
    "这是临时密码，请设置自己的密码。",
    "This password is temporary; choose your own.",
)
NOT_A_TABLE = ErrorCode(
    "not_a_table", 422, "文件不是可导入的 CSV 表。", "The file is no CSV table that can be read."
)
