package io.hearth.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ProcessEnvironmentPatchTest {
    @Test
    void thisProcessAndItsChildrenSeeTheVariable() throws Exception {
        String before = System.getenv("PATH");
        ProcessEnvironmentPatch.merge(Map.of("HEARTH_PATCH_TEST", "value"));
        assertEquals("value", System.getenv("HEARTH_PATCH_TEST"));
        assertEquals("value", System.getenv().get("HEARTH_PATCH_TEST"));
        assertEquals(before, System.getenv("PATH"));
        ProcessBuilder builder = new ProcessBuilder("printenv", "HEARTH_PATCH_TEST");
        builder.environment().put("LANG", "C.UTF-8");
        Process child = builder.start();
        assertEquals("value", new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip());
    }
}
