import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.android)
}

// The words the filter knows, and the notices of what the app is made of.
val shared by tasks.registering(Sync::class) {
    from("../../src/foreword/completion/lexicon.json", "../../NOTICE", "../../LICENSE")
    into(layout.buildDirectory.dir("shared-assets"))
}

android {
    namespace = "dev.foreword.app"
    compileSdk = 36

    defaultConfig {
        applicationId = "dev.foreword.app"
        minSdk = 24
        targetSdk = 36
        versionCode = 1
        versionName = "0.1.0"
    }

    sourceSets["main"].assets.srcDir(shared)

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }

    // Models are mapped into memory, so they stay as they are.
    androidResources.noCompress += "tflite"
    packaging.jniLibs.useLegacyPackaging = true

    testOptions.unitTests.isIncludeAndroidResources = true
}

kotlin {
    compilerOptions {
        jvmTarget = JvmTarget.JVM_1_8
    }
}

dependencies {
    implementation(project(":core"))
    implementation(libs.litert)
    // What scripts/text_graph_aar.sh makes, for classic text graphs.
    implementation(fileTree("libs") { include("*.aar") })
    testImplementation(libs.junit)
    testImplementation(libs.robolectric)
}
