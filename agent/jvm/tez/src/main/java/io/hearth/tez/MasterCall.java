package io.hearth.tez;

import java.io.IOException;
import java.util.function.Function;
import org.apache.hadoop.thirdparty.protobuf.Message;
import org.apache.hadoop.yarn.api.protocolrecords.impl.pb.AllocateRequestPBImpl;
import org.apache.hadoop.yarn.api.protocolrecords.impl.pb.AllocateResponsePBImpl;
import org.apache.hadoop.yarn.api.protocolrecords.impl.pb.FinishApplicationMasterRequestPBImpl;
import org.apache.hadoop.yarn.api.protocolrecords.impl.pb.FinishApplicationMasterResponsePBImpl;
import org.apache.hadoop.yarn.api.protocolrecords.impl.pb.RegisterApplicationMasterRequestPBImpl;
import org.apache.hadoop.yarn.api.protocolrecords.impl.pb.RegisterApplicationMasterResponsePBImpl;
import org.apache.hadoop.yarn.api.protocolrecords.impl.pb.StartContainersRequestPBImpl;
import org.apache.hadoop.yarn.api.protocolrecords.impl.pb.StartContainersResponsePBImpl;
import org.apache.hadoop.yarn.api.protocolrecords.impl.pb.StopContainersRequestPBImpl;
import org.apache.hadoop.yarn.api.protocolrecords.impl.pb.StopContainersResponsePBImpl;
import org.apache.hadoop.yarn.proto.YarnServiceProtos.AllocateRequestProto;
import org.apache.hadoop.yarn.proto.YarnServiceProtos.AllocateResponseProto;
import org.apache.hadoop.yarn.proto.YarnServiceProtos.FinishApplicationMasterRequestProto;
import org.apache.hadoop.yarn.proto.YarnServiceProtos.FinishApplicationMasterResponseProto;
import org.apache.hadoop.yarn.proto.YarnServiceProtos.RegisterApplicationMasterRequestProto;
import org.apache.hadoop.yarn.proto.YarnServiceProtos.RegisterApplicationMasterResponseProto;
import org.apache.hadoop.yarn.proto.YarnServiceProtos.StartContainersRequestProto;
import org.apache.hadoop.yarn.proto.YarnServiceProtos.StartContainersResponseProto;
import org.apache.hadoop.yarn.proto.YarnServiceProtos.StopContainersRequestProto;
import org.apache.hadoop.yarn.proto.YarnServiceProtos.StopContainersResponseProto;

/** A call of the application master, with the form its request and its response have on the line: YARN's own messages. */
enum MasterCall {
    REGISTER(record -> ((RegisterApplicationMasterRequestPBImpl) record).getProto(),
            bytes -> new RegisterApplicationMasterRequestPBImpl(RegisterApplicationMasterRequestProto.parseFrom(bytes)),
            record -> ((RegisterApplicationMasterResponsePBImpl) record).getProto(),
            bytes -> new RegisterApplicationMasterResponsePBImpl(
                    RegisterApplicationMasterResponseProto.parseFrom(bytes))),
    ALLOCATE(record -> ((AllocateRequestPBImpl) record).getProto(),
            bytes -> new AllocateRequestPBImpl(AllocateRequestProto.parseFrom(bytes)),
            record -> ((AllocateResponsePBImpl) record).getProto(),
            bytes -> new AllocateResponsePBImpl(AllocateResponseProto.parseFrom(bytes))),
    FINISH(record -> ((FinishApplicationMasterRequestPBImpl) record).getProto(),
            bytes -> new FinishApplicationMasterRequestPBImpl(FinishApplicationMasterRequestProto.parseFrom(bytes)),
            record -> ((FinishApplicationMasterResponsePBImpl) record).getProto(),
            bytes -> new FinishApplicationMasterResponsePBImpl(FinishApplicationMasterResponseProto.parseFrom(bytes))),
    START(record -> ((StartContainersRequestPBImpl) record).getProto(),
            bytes -> new StartContainersRequestPBImpl(StartContainersRequestProto.parseFrom(bytes)),
            record -> ((StartContainersResponsePBImpl) record).getProto(),
            bytes -> new StartContainersResponsePBImpl(StartContainersResponseProto.parseFrom(bytes))),
    STOP(record -> ((StopContainersRequestPBImpl) record).getProto(),
            bytes -> new StopContainersRequestPBImpl(StopContainersRequestProto.parseFrom(bytes)),
            record -> ((StopContainersResponsePBImpl) record).getProto(),
            bytes -> new StopContainersResponsePBImpl(StopContainersResponseProto.parseFrom(bytes)));

    /** Reads a record; what is no such message ends in an {@link IOException}. */
    private interface Reader {
        Object read(byte[] bytes) throws IOException;
    }

    private final Function<Object, Message> requestMessage;
    private final Reader request;
    private final Function<Object, Message> responseMessage;
    private final Reader response;

    MasterCall(Function<Object, Message> requestMessage, Reader request, Function<Object, Message> responseMessage,
            Reader response) {
        this.requestMessage = requestMessage;
        this.request = request;
        this.responseMessage = responseMessage;
        this.response = response;
    }

    byte[] writeRequest(Object record) {
        return requestMessage.apply(record).toByteArray();
    }

    Object readRequest(byte[] bytes) throws IOException {
        return request.read(bytes);
    }

    byte[] writeResponse(Object record) {
        return responseMessage.apply(record).toByteArray();
    }

    Object readResponse(byte[] bytes) throws IOException {
        return response.read(bytes);
    }
}
