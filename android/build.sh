#!/usr/bin/env bash
# Builds and tests the app without Gradle and without the Android SDK.
#
#   android/build.sh core        compile core
#   android/build.sh core-test   and run its tests
#   android/build.sh app         compile the app
#   android/build.sh app-test    and run its tests, with Robolectric
#   android/build.sh apk         build/foreword-debug.apk
#   android/build.sh check       the APK's signature, alignment and calls to the framework
#   android/build.sh all         all of it
#
# What it needs of Debian it installs when it may; what it needs of Maven is pinned in
# tools/artifacts.txt. Everything it makes is in build/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly min_api=24 target_api=36
# The attributes and styles of API 29: aapt2 as Debian has it reads no newer table.
readonly framework_resources=/usr/share/android-framework-res/framework-res.apk
readonly out=build tools=build/tools apk=build/foreword-debug.apk

step() { printf '==> %s\n' "$*" >&2; }
die() {
  printf 'build.sh: %s\n' "$*" >&2
  exit 1
}

# need COMMAND PACKAGE …: installs Debian packages for the commands, or files, that are missing.
need() {
  local missing=() as_root=()
  while (($#)); do
    command -v "$1" >/dev/null || [[ -r $1 ]] || missing+=("$2")
    shift 2
  done
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null || die "needs the commands of these Debian packages: ${missing[*]}"
  ((EUID == 0)) || as_root=(sudo -n)
  step "installing ${missing[*]}"
  "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null ||
    die "could not install ${missing[*]}; the reason is above"
}

# fetch SET…: what tools/artifacts.txt lists for these sets, into build/tools/SET.
fetch() {
  local sets missing
  sets=$(printf '%s|' "$@")
  grep -E "^[0-9a-f]{64} (${sets%|}) " tools/artifacts.txt |
    awk '{ split($3, part, ":"); print $1 "  " $2 "/" part[2] "-" part[3] "." part[4] }' \
      >"$out/wanted"
  (cd "$tools" && sha256sum --quiet -c ../wanted) >/dev/null 2>&1 && return 0
  need mvn maven
  step "fetching: $*"
  grep -E "^[0-9a-f]{64} (${sets%|}) " tools/artifacts.txt | awk -f tools/pom.awk >"$out/pom.xml"
  mvn -q -B -f "$out/pom.xml" dependency:copy || die "could not fetch $*; Maven's reason is above"
  (cd "$tools" && sha256sum --quiet -c ../wanted) || die "a file fetched is not the one pinned"
}

# path ENTRY…: a Java class path.
path() { (IFS=: && printf '%s' "$*"); }

# unpacked SET ARTIFACT: the class path entry of an .aar.
unpacked() {
  local aar directory
  aar=$(echo "$tools/$1/$2"-[0-9]*.aar)
  directory=$tools/$1/$2
  [[ -f $directory/classes.jar ]] || { mkdir -p "$directory" && (cd "$directory" && jar xf "../${aar##*/}"); }
  printf '%s' "$directory/classes.jar"
}

# current TARGET FILE…: whether TARGET was made from just these files, as they are.
current() {
  local target=$1 sum
  shift
  sum=$(sha256sum build.sh tools/artifacts.txt "$@")
  [[ -e $target && -f $target.sum && $(<"$target.sum") == "$sum" ]] && return 0
  rm -rf "$target" "$target.sum"
  made="$sum"
  return 1
}

# kotlin TARGET CLASS_PATH DIRECTORY…: compiles what is in the directories to a jar.
kotlin() {
  local target=$1 class_path=$2 sources
  shift 2
  mapfile -t sources < <(find "$@" -name '*.kt' | LC_ALL=C sort)
  ((${#sources[@]})) || die "found no Kotlin in $*"
  # shellcheck disable=SC2086
  current "$target" "${sources[@]}" $(tr : ' ' <<<"$class_path") && return 0
  step "compiling $target"
  # The SDK that Gradle compiles against says less of null than the framework's own classes.
  java -Xmx1g -cp "$tools/kotlin/*" org.jetbrains.kotlin.cli.jvm.K2JVMCompiler \
    -no-stdlib -no-reflect -jvm-target 1.8 -Xjdk-release=1.8 -Werror \
    -Xnullability-annotations=@android.annotation:ignore ${friend:+-Xfriend-paths="$friend"} \
    -module-name "$(basename "$target" .jar)" -classpath "$class_path" -d "$target" "${sources[@]}"
  echo "$made" >"$target.sum"
}

# junit CLASS_PATH DIRECTORY: runs every class of the tests in the directory.
junit() {
  local classes
  mapfile -t classes < <(cd "$2" && find . -name "${TEST:-*}Test.kt" | LC_ALL=C sort |
    sed -e 's|^\./||; s|\.kt$||; s|/|.|g')
  ((${#classes[@]})) || die "found no test named ${TEST:-*}Test in $2"
  java -Xmx3g -cp "$1" "${properties[@]}" org.junit.runner.JUnitCore "${classes[@]}"
}

java_home() { dirname "$(dirname "$(readlink -f "$(command -v javac)")")"; }
stdlib() { echo "$tools"/kotlin/kotlin-stdlib-*.jar; }
test_libraries() { (IFS=: && set -- "$tools"/junit/*.jar && printf '%s' "$*"); }

core() {
  need javac openjdk-17-jdk-headless
  fetch kotlin
  kotlin "$out/core.jar" "$(stdlib)" core/src/main/kotlin
}

core_test() {
  local libraries
  core
  fetch junit
  libraries=$(path "$out/core.jar" "$(stdlib)" "$(test_libraries)")
  friend=$out/core.jar kotlin "$out/core-test.jar" "$libraries" core/src/test/kotlin
  step "tests of core"
  properties=(-Dforeword.root="$(cd .. && pwd)")
  junit "$(path "$out/core-test.jar" "$libraries")" core/src/test/kotlin
}

# resources: compiles res/ and the manifest to build/resources.apk and the class R.
resources() {
  local files
  need aapt2 aapt "$framework_resources" android-framework-res
  mapfile -t files < <(find app/src/main/res app/src/main/AndroidManifest.xml -type f | LC_ALL=C sort)
  current "$out/resources.apk" "${files[@]}" && return 0
  step "compiling resources"
  rm -rf "$out/gen" && mkdir -p "$out/gen"
  aapt2 compile --dir app/src/main/res -o "$out/resources.zip"
  # Gradle takes the package and the versions from its own files.
  sed -e 's|<manifest |&package="dev.foreword.app" android:versionCode="1" android:versionName="0.1.0" |' \
    app/src/main/AndroidManifest.xml >"$out/AndroidManifest.xml"
  aapt2 link -o "$out/resources.apk" --manifest "$out/AndroidManifest.xml" --java "$out/gen" \
    -I "$framework_resources" --min-sdk-version "$min_api" \
    --target-sdk-version "$target_api" --auto-add-overlay "$out/resources.zip"
  (cd "$out/gen" && javac --release 8 -Xlint:-options -d classes dev/foreword/app/R.java)
  (cd "$out/gen" && jar cf ../R.jar -C classes .)
  echo "$made" >"$out/resources.apk.sum"
}

app_libraries() {
  path "$out/core.jar" "$out/R.jar" "$(stdlib)" "$(unpacked app tensorflow-lite)" \
    "$(unpacked app tensorflow-lite-api)" "$tools"/framework/android-all-*.jar
}

app() {
  core
  fetch app framework
  resources
  kotlin "$out/app.jar" "$(app_libraries)" app/src/main/kotlin
}

# assets: what the APK carries beside code: the models put there, the words the filter knows.
assets() {
  rm -rf "$out/assets"
  mkdir -p "$out/assets"
  cp -R app/src/main/assets/. "$out/assets"
  cp ../src/foreword/completion/lexicon.json ../NOTICE ../LICENSE "$out/assets"
}

app_test() {
  local libraries
  app
  fetch junit robolectric sdk
  assets
  mkdir -p "$out/test/com/android/tools"
  printf '%s\n' "android_merged_manifest=$out/AndroidManifest.xml" \
    "android_resource_apk=$out/resources.apk" "android_merged_assets=$out/assets" \
    "android_custom_package=dev.foreword.app" >"$out/test/com/android/tools/test_config.properties"
  libraries=$(path "$(test_libraries)" "$tools"/robolectric/*.jar "$(unpacked robolectric monitor)" \
    "$(app_libraries)")
  kotlin "$out/app-test.jar" "$(path "$out/app.jar" "$libraries")" app/src/test/kotlin
  step "tests of the app"
  properties=(-Dforeword.root="$(cd .. && pwd)" -Drobolectric.offline=true
    -Drobolectric.dependency.dir="$tools/sdk" -Drobolectric.graphicsMode=NATIVE)
  junit "$(path "$out/test" "$out/app-test.jar" "$out/app.jar" "$libraries")" app/src/test/kotlin
}

# dex DIRECTORY LIBRARY_OPTIONS… -- JAR…: classes.dex in the directory.
dex() {
  local directory=$1
  shift
  rm -rf "$directory" && mkdir -p "$directory"
  java -Xmx1g -cp "$tools/dex/*" com.android.tools.r8.D8 --debug --min-api "$min_api" \
    --lib "$tools"/framework/android-all-*.jar --lib "$(java_home)" --output "$directory" "$@"
}

apk() {
  local unsigned=$out/unsigned.apk
  app
  fetch dex
  need zipalign zipalign apksigner apksigner
  assets
  step "packaging"
  mkdir -p "$out/dex"
  dex "$out/dex" "$out/core.jar" "$out/R.jar" "$out/app.jar" "$(stdlib)" \
    "$(unpacked app tensorflow-lite)" "$(unpacked app tensorflow-lite-api)"
  # aapt2 stores what may be mapped into memory; native libraries are compressed, since
  # android:extractNativeLibs unpacks them.
  aapt2 link -o "$unsigned" --manifest "$out/AndroidManifest.xml" \
    -I "$framework_resources" --min-sdk-version "$min_api" \
    --target-sdk-version "$target_api" --auto-add-overlay -A "$out/assets" -0 .tflite \
    --debug-mode "$out/resources.zip"
  rm -rf "$out/lib" && mkdir -p "$out/lib"
  cp -R "$tools"/app/tensorflow-lite/jni/{arm64-v8a,armeabi-v7a,x86_64} "$out/lib"
  jar ufM "$unsigned" -C "$out/dex" classes.dex -C "$out" lib
  [[ -f $out/debug.keystore ]] ||
    keytool -genkeypair -keystore "$out/debug.keystore" -alias androiddebugkey -storepass android \
      -keypass android -keyalg RSA -keysize 2048 -validity 10000 -dname "CN=Android Debug" 2>/dev/null
  zipalign -f 4 "$unsigned" "$apk"
  apksigner sign --ks "$out/debug.keystore" --ks-pass pass:android --min-sdk-version "$min_api" "$apk"
  rm -f "$unsigned" "$apk.idsig"
  printf '%s\n' "android/$apk"
}

# androguard: reads the APK with a parser that is not Android's own, in an environment of its own.
androguard() {
  local environment=$tools/androguard
  if [[ ! -f $environment/ready ]]; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || need no-venv python3-venv
    step "installing androguard"
    python3 -m venv --clear "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check androguard==4.1.3
    touch "$environment/ready"
  fi
  "$environment/bin/python" tools/androguard_check.py "$apk" "$min_api"
}

# check: what can be known of the APK without a phone.
check() {
  local listed
  apk
  fetch api24
  need aapt aapt dexdump dexdump
  step "checking $apk"
  apksigner verify --min-sdk-version "$min_api" "$apk"
  zipalign -c 4 "$apk"
  listed=$(aapt dump badging "$apk")
  grep -E "^(package|sdkVersion|targetSdkVersion|native-code)" <<<"$listed"
  ! grep -q "^uses-permission" <<<"$listed" || die "the app asks for a permission"
  androguard
  # Code that desugaring adds is checked too: what is looked at is dex.
  dex "$out/own-dex" --classpath "$(stdlib)" --classpath "$(unpacked app tensorflow-lite)" \
    --classpath "$(unpacked app tensorflow-lite-api)" \
    "$out/core.jar" "$out/R.jar" "$out/app.jar"
  # What is newer than the oldest Android, and called behind a check of the version.
  java -cp "$tools/dex/*" com.android.tools.r8.tracereferences.TraceReferences --check \
    --lib "$tools"/api24/android-all-*.jar --lib "$(java_home)" --lib "$(stdlib)" \
    --lib "$(unpacked app tensorflow-lite)" --lib "$(unpacked app tensorflow-lite-api)" \
    --source "$out/own-dex/classes.dex" >"$out/newer.log" 2>&1 || true
  grep -oE "^(Error: )?Missing .*" "$out/newer.log" | sed -e 's|^Error: ||' -e 's| (referenced.*||' | LC_ALL=C sort -u >"$out/newer.txt"
  diff tools/newer.txt "$out/newer.txt" >&2 ||
    die "the calls that API $min_api lacks differ from tools/newer.txt: see above"
  # The JDK has these parts of java.* as well, API 24 has not.
  ! dexdump -d "$out/own-dex/classes.dex" | grep -E "L(java/time|java/nio/file|java/awt|javax)/" >&2 ||
    die "the app calls parts of Java that API $min_api lacks: see above"
}

main() {
  mkdir -p "$tools"
  case ${1-} in
    core | app | apk | check) "$1" ;;
    core-test) core_test ;;
    app-test) app_test ;;
    all)
      core_test
      app_test
      check
      ;;
    *) die "expected core, core-test, app, app-test, apk, check or all, found '${1-}'" ;;
  esac
}
main "$@"
