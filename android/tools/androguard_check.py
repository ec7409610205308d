"""Reads the APK with androguard, and tells in one line what it found: argv has path, API level."""

import sys

from androguard.core.apk import APK
from loguru import logger

logger.disable("androguard")
apk = APK(sys.argv[1])
if not apk.is_valid_APK() or not apk.is_signed_v2():
    sys.exit("androguard: expected a signed APK, found none")
if apk.get_main_activity() != "dev.foreword.app.MainActivity":
    sys.exit(f"androguard: expected the main activity, found {apk.get_main_activity()}")
if apk.get_permissions() or apk.get_min_sdk_version() != sys.argv[2]:
    sys.exit(f"androguard: found {apk.get_permissions()} from API {apk.get_min_sdk_version()}")
print(f"androguard: {apk.get_package()}, signed, {len(list(apk.get_files()))} files")
